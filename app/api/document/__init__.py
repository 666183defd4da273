"""Texts of the OpenAPI document: tags, an introduction, and a sentence for each field."""
