#!/usr/bin/env python3
"""Writes kubernetes_types.json: of the published API types, those that deploy/kubernetes reaches, with all their fields.

  make_kubernetes_types.py swagger.json deploy/kubernetes/diffaid.yaml > tests/deploy/kubernetes_types.json

The first file is api/openapi-spec/swagger.json of kubernetes/kubernetes, or the _definitions.json of any package that
carries its types (kubernetes-validate on PyPI does; made from its v1.37.0). A field's form is "string", "integer",
"boolean", "quantity" or "port" (a number or a string), a type's name, [FORM] or {"*": FORM}.
"""
import json
import sys

import yaml

definitions = json.load(open(sys.argv[1]))
definitions = definitions.get("definitions") or definitions["$defs"]
types = {}


def form(schema):
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        short = name.split(".")[-1]
        if short == "Quantity":
            return "quantity"
        if short == "IntOrString":
            return "port"
        target = definitions[name]
        return short if "properties" in target else "any" if "type" not in target else form(target)
    kind = schema.get("type", "any")
    kind = next((k for k in kind if k != "null"), "any") if isinstance(kind, list) else kind
    if kind == "array":
        return [form(schema["items"])]
    if kind == "object":
        inner = schema.get("additionalProperties")
        return {"*": form(inner) if isinstance(inner, dict) else "any"}
    return kind


def reach(name, value):
    """Notes the type and those of the fields that value has."""
    definition = definitions[name]
    fields = definition["properties"]
    types[name.split(".")[-1]] = {
        "required": sorted(definition.get("required", [])),
        "fields": {f: form(s) for f, s in sorted(fields.items()) if f != "status"},
    }
    for field, inner in value.items():
        follow(fields[field], inner)


def follow(schema, value):
    name = schema.get("$ref", "").split("/")[-1]
    if name and "properties" in definitions[name]:
        reach(name, value)
    elif isinstance(value, list):
        for item in value:
            follow(schema["items"], item)


kinds = {}
for document in yaml.safe_load_all(open(sys.argv[2])):
    group, _, version = document["apiVersion"].rpartition("/")
    name = "io.k8s.api.%s.%s.%s" % (group.split(".")[0] or "core", version, document["kind"])
    kinds[document["apiVersion"] + " " + document["kind"]] = document["kind"]
    reach(name, document)
print("{")
print(' "kinds": %s,' % json.dumps(kinds))
print(' "types": {')
print(",\n".join('  "%s": %s' % (n, json.dumps(t)) for n, t in sorted(types.items())))
print(" }\n}")
