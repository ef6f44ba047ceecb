"""The operations that we send: one per file in `operations/`, parsed once. No operation text lives elsewhere.

The parser costs up to a fifth of a second and 4 MB to import, so it is loaded with the first operation: the web process
answers webhooks without it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from stockwright.shopify.cost import requested_cost

if TYPE_CHECKING:
    from graphql import FragmentDefinitionNode, OperationDefinitionNode, VariableNode

FOLDER = "operations"
SUFFIX = ".graphql"
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One GraphQL operation: its text and what it will cost."""

    name: str  # the operation's own name, sent as operationName
    text: str
    is_mutation: bool
    definition: "OperationDefinitionNode"
    fragments: "Mapping[str, FragmentDefinitionNode]"

    def cost(self, variables: Mapping[str, Any]) -> int:
        """Points that the server will charge before it executes, by the documented formula."""
        return requested_cost(self.definition, variables, self.fragments)


@cache
def operation(name: str) -> Operation:
    """The operation in `operations/<name>.graphql`."""
    path = files("stockwright.shopify").joinpath(FOLDER, name + SUFFIX)
    return _parsed(path.read_text(encoding="utf-8").strip())


@cache
def repeated(name: str, times: int) -> Operation:
    """A mutation of one root field sent several times in one document, as `at_0`, `at_1` ...

    Each occurrence has the variables of its own: `$id` becomes `$id_0`, `$id_1` ...
    """
    from graphql import print_ast

    one = operation(name).definition
    if times == 1:
        title = one.name.value if one.name else name
    else:
        title = f"{one.name.value if one.name else name}{times}"
    variables, fields = [], []
    for number in range(times):
        declared = one.variable_definitions or ()
        variables += [_renamed(each.variable, number, print_ast(each.type)) for each in declared]
        fields.append(_occurrence(one, number))
    return _parsed(f"mutation {title}({', '.join(variables)}) {{\n  " + "\n  ".join(fields) + "\n}")


def _renamed(variable: "VariableNode", number: int, kind: str) -> str:
    return f"${variable.name.value}_{number}: {kind}"


def _occurrence(one: "OperationDefinitionNode", number: int) -> str:
    from graphql import print_ast

    (field,) = one.selection_set.selections
    text = _VARIABLE.sub(rf"$\1_{number}", print_ast(field))
    return f"at_{number}: {text}".replace("\n", "\n  ")


def operation_names() -> list[str]:
    """Every operation file, by name."""
    found = files("stockwright.shopify").joinpath(FOLDER).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in found if file.name.endswith(SUFFIX))


def _parsed(text: str) -> Operation:
    from graphql import FragmentDefinitionNode, OperationDefinitionNode, OperationType, parse

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
