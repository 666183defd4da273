"""What the OpenAPI document says beside the models: tags, an introduction, and a sentence for each field."""
