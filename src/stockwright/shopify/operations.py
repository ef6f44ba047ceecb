"""The operations that we send: one per file in `operations/`, parsed once. No operation text lives elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from graphql import FragmentDefinitionNode, OperationDefinitionNode, OperationType, parse

from stockwright.shopify.cost import requested_cost

FOLDER = "operations"
SUFFIX = ".graphql"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One GraphQL operation: its text and what it will cost."""

    name: str  # the operation's own name, sent as operationName
    text: str
    is_mutation: bool
    definition: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]

    def cost(self, variables: Mapping[str, Any]) -> int:
        """Points that the server will charge before it executes, by the documented formula."""
        return requested_cost(self.definition, variables, self.fragments)


@cache
def operation(name: str) -> Operation:
    """The operation in `operations/<name>.graphql`."""
    path = files("stockwright.shopify").joinpath(FOLDER, name + SUFFIX)
    return _parsed(path.read_text(encoding="utf-8").strip())


def operation_names() -> list[str]:
    """Every operation file, by name."""
    found = files("stockwright.shopify").joinpath(FOLDER).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in found if file.name.endswith(SUFFIX))


def _parsed(text: str) -> Operation:
    definitions = parse(text, no_location=True).definitions
    fragments = [node for node in definitions if isinstance(node, FragmentDefinitionNode)]
    (definition,) = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    if definition.name is None:
        raise ValueError("an operation needs a name")
    return Operation(
        name=definition.name.value,
        text=text,
        is_mutation=definition.operation is OperationType.MUTATION,
        definition=definition,
        fragments={node.name.value: node for node in fragments},
    )
