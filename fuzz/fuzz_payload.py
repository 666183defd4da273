"""Coverage-guided fuzzing of the reader of callbacks: `make fuzz`, or

    python fuzz/fuzz_payload.py -max_total_time=60 fuzz/corpus

The options are libFuzzer's (https://llvm.org/docs/LibFuzzer.html). New inputs go to var/fuzz/corpus, where the next run
continues, and crashes to var/fuzz/crash-…; to repeat one, name it as the only argument. Add the input of a fixed crash
to fuzz/corpus, which the tests run.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "var" / "fuzz"

sys.path.insert(0, str(ROOT))

try:
    import atheris  # type: ignore[import-untyped,unused-ignore]
except ImportError as error:
    sys.exit(f"make fuzz needs atheris, which is not installed here ({error}): pip install atheris==3.0.0")

with atheris.instrument_imports(include=["app.ci"]):
    from tests.ci.promises import check


def arguments(given: list[str]) -> list[str]:
    """The command line, with output folders and a dictionary of CI's names."""
    options = [one for one in given if one.startswith("-")]
    corpora = [one for one in given if not one.startswith("-")]
    if any(Path(one).is_file() for one in corpora):
        return given
    (FOUND / "corpus").mkdir(parents=True, exist_ok=True)
    ours = [
        f"-artifact_prefix={FOUND}/",
        f"-dict={ROOT}/fuzz/payload.dict",
        "-timeout=5",
        "-rss_limit_mb=2048",
    ]
    return [*ours, *options, str(FOUND / "corpus"), *corpora]


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *arguments(sys.argv[1:])], check)
    atheris.Fuzz()
