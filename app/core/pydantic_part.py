"""A msgspec struct that can be a field of pydantic models, which describe the API."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Self, get_type_hints

from msgspec import Struct, convert
from msgspec.structs import asdict, fields
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class PydanticPart(Struct, frozen=True):
    """A struct of plain values. pydantic takes it or a mapping of its fields, and describes it under its own name."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        hints = get_type_hints(cls)
        shape = core_schema.typed_dict_schema(
            {
                each.name: core_schema.typed_dict_field(
                    handler.generate_schema(hints[each.name])
                    if each.required
                    else core_schema.with_default_schema(
                        handler.generate_schema(hints[each.name]), default=each.default
                    ),
                    required=each.required,
                )
                for each in fields(cls)
            },
            cls_name=cls.__name__,
        )
        return core_schema.no_info_before_validator_function(
            lambda given: _own(cls, given) if isinstance(given, cls) else given,
            core_schema.no_info_after_validator_function(cls._of, shape),
            ref=f"{cls.__module__}.{cls.__qualname__}",
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda part, serialize: serialize(_own(cls, part)), schema=shape
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        document = handler(schema)
        handler.resolve_ref_schema(document).update(
            title=cls.__name__, description=cleandoc(cls.__doc__ or "")
        )
        return document

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Self:
        return convert(fields, cls)


def _own(kind: type[PydanticPart], part: PydanticPart) -> dict[str, Any]:
    """The fields of that kind, also of a struct that has more."""
    values = asdict(part)
    return {name: values[name] for name in kind.__struct_fields__}
