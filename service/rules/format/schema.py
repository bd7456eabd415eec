"""The JSON Schema of rule files, for completion and errors in editors."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from service.rules.format.model import File


class _Schema(GenerateJsonSchema):
    """Generates the schema without nulls, since a key without a value is absent in a file, and without titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", False) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def schema() -> dict[str, Any]:
    """Return a document of JSON Schema 2020-12."""
    return {"$schema": _Schema.schema_dialect, **File.model_json_schema(schema_generator=_Schema)}
