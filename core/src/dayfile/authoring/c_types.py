"""The types that a C header declares."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from dayfile.authoring.c_structs import CEnum, CMember, CStruct, CType, place_bits, round_up
from dayfile.authoring.preprocessing import CHeader, preprocess
from dayfile.errors import UsageError
from dayfile.handover.columns import import_extra
from dayfile.messages import suggest_near

__all__ = ["HeaderTypes"]

FIXED: dict[str, tuple[str, int]] = {
    **{f"{sign}int{bits}_t": (f"{sign}int{bits}", bits // 8) for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"u_int{bits}_t": (f"uint{bits}", bits // 8) for bits in (8, 16, 32, 64)},
    "size_t": ("uint64", 8),
    "ssize_t": ("int64", 8),
    "time_t": ("int64", 8),
    "bool": ("bool", 1),
    "uint": ("uint32", 4),
    "ushort": ("uint16", 2),
    "uchar": ("uint8", 1),
}
"""Types that headers of the C library declare, by name: the type of a field, and bytes."""
PLAIN_TYPES: dict[frozenset[str], tuple[str, int]] = {
    frozenset(words.split()): (kind, size)
    for texts, kind, size in (
        ("char", "char", 1),
        ("signed char", "int8", 1),
        ("unsigned char", "uint8", 1),
        ("short|signed short", "int16", 2),
        ("unsigned short", "uint16", 2),
        ("int|signed|signed int", "int32", 4),
        ("unsigned|unsigned int", "uint32", 4),
        ("long|signed long", "int64", 8),
        ("unsigned long", "uint64", 8),
        ("float", "float32", 4),
        ("double", "float64", 8),
        ("_Bool", "bool", 1),
    )
    for words in texts.split("|")
}
"""Types of the language, by their words without ``int`` after others; ``long`` as on 64-bit Unix."""
WIDEST_ALIGNMENT = 16
"""What no type of these is aligned wider than."""
OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv, "%": operator.mod,
    "<<": operator.lshift, ">>": operator.rshift, "|": operator.or_, "&": operator.and_, "^": operator.xor,
}  # fmt: skip


@dataclass
class HeaderTypes:
    """The types of a header.

    Parameters
    ----------
    header : CHeader
        The header.
    """

    header: CHeader
    structs: dict[str, Any] = field(default_factory=dict)
    enums: dict[str, CEnum] = field(default_factory=dict)
    typedefs: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> HeaderTypes:
        """Read a header.

        Raises
        ------
        UsageError
            It cannot be read, or is not C as far as it is understood; MissingExtraError without pycparser.
        """
        types = cls(preprocess(path))
        known = "".join(f"typedef int {name};" for name in FIXED)
        types._walk(parse_c(known, types.header))
        for name, body in types.header.constants.items():
            tree = parse_c(f"int size[{body}];", CHeader(path))
            types.constants[name] = types._evaluate(tree.ext[0].type.dim)
        return types

    def find_struct(self, name: str) -> CStruct:
        """Find a struct by its name, or that of its typedef.

        Raises
        ------
        UsageError
            The header has no such struct, or a member of it cannot be a field.
        """
        node = self.structs.get(name)
        if node is None and name in self.typedefs:
            inner = self.typedefs[name].type
            node = getattr(inner, "type", None) if type(inner).__name__ == "TypeDecl" else None
            node = node if type(node).__name__ == "Struct" else None
        if node is None:
            named = [key for key, each in self.typedefs.items() if type(each.type.type).__name__ == "Struct"]
            known = list(dict.fromkeys([*self.structs, *named]))
            message = (
                f"no struct {name!r}{suggest_near(name, known) or '; it has ' + (', '.join(known) or 'no struct')}"
            )
            raise UsageError(message, where=self.header.path)
        return self._lay_out(node, name)

    def _walk(self, tree: Any) -> None:  # noqa: ANN401 - of pycparser, as everything below
        """Note what is declared at the top, and in it."""
        for each in tree.ext:
            kind = type(each).__name__
            if kind == "Typedef" and (each.coord.line > 1 or each.name not in FIXED):
                self.typedefs[each.name] = each
            if kind in ("Typedef", "Decl"):
                self._note(each.type)

    def _note(self, node: Any) -> None:  # noqa: ANN401
        """Note the structs and enumerations that a declaration declares."""
        kind = type(node).__name__
        if kind in ("TypeDecl", "ArrayDecl", "PtrDecl"):
            self._note(node.type)
        elif kind in ("Struct", "Union") and node.decls is not None:
            if kind == "Struct" and node.name:
                self.structs[node.name] = node
            for each in node.decls:
                self._note(getattr(each, "type", None))
        elif kind == "Enum" and node.values is not None:
            self._make_enum(node)

    def _make_enum(self, node: Any) -> CEnum:  # noqa: ANN401
        """Make an enumeration; its names are constants too."""
        values: dict[str, int] = {}
        following = 0
        for each in node.values.enumerators:
            following = following if each.value is None else self._evaluate(each.value)
            values[each.name] = self.constants[each.name] = following
            following += 1
        made = CEnum(node.name or "", values)
        self.enums[made.name or f"line {node.coord.line}"] = made
        return made

    def _lay_out(self, node: Any, name: str) -> CStruct:  # noqa: ANN401
        """Find the offsets of a struct's members, as a compiler does."""
        line = find_declaration(node)
        packed, pack = line in self.header.packed, self.header.packs[min(line, len(self.header.packs)) - 1]
        most = 1 if packed else pack or WIDEST_ALIGNMENT
        members: list[CMember] = []
        bit, widest = 0, 1  # the first free bit, and the alignment so far
        for each in node.decls:
            self._check_member(each, name)
            kind = self._resolve(each.type)
            alignment = min(kind.alignment, most)
            comment, place = self._describe(each, node.decls)
            if each.bitsize is not None:
                width = self._measure_bits(each, kind)
                if not width:
                    bit = round_up(bit, 8 * kind.alignment)  # whatever the pragma says
                    continue
                bit, offset, room = place_bits(bit, width, kind.size, contiguous=packed or pack > 0)
                member = CMember(each.name or "", kind, offset, find_declaration(each), comment, place)
                members.append(replace(member, bits=width, begin=bit, room=room))
                bit += width
                widest = max(widest, alignment if each.name else 1)
                continue
            offset = round_up(-(-bit // 8), alignment)
            members.append(CMember(each.name, kind, offset, find_declaration(each), comment, place))
            bit, widest = 8 * (offset + kind.whole), max(widest, alignment)
        if not members:
            self._fail(node, f"struct {name} has no members")
        size = round_up(-(-bit // 8), widest)
        return CStruct(name, tuple(members), size, widest, self.header.find_comment_above(line))

    def _measure_bits(self, node: Any, kind: CType) -> int:  # noqa: ANN401
        """Evaluate how many bits a bit field has."""
        width, unit = self._evaluate(node.bitsize), 1 if kind.kind == "bool" else 8 * kind.size
        if width > unit:
            self._fail(node, f"{node.name or 'a bit field'} has {width} bits, more than its type")
        return width

    def _check_member(self, node: Any, name: str) -> None:  # noqa: ANN401
        """Refuse a member that cannot be a field."""
        if node.align:
            self._fail(node, f"{node.name} has its own alignment, which is not understood; take _Alignas out")
        inner = node.type
        while type(inner).__name__ in ("ArrayDecl", "TypeDecl"):
            inner = inner.type
        what = type(inner).__name__
        if not node.name and node.bitsize is None:
            fix = "give it a name" if what == "Struct" else "write a struct with the member that is sent"
            self._fail(node, f"struct {name} has {'a struct' if what == 'Struct' else 'a union'} without a name; {fix}")

    def _describe(self, node: Any, members: Any) -> tuple[str, tuple[int, int]]:  # noqa: ANN401
        """Find the comment of a member, and its place among those declared in its line."""
        line, comment = find_declaration(node), self._find_comment(node)
        beside = [each for each in members if find_declaration(each) == line and self._find_comment(each) == comment]
        return comment, (beside.index(node), len(beside))

    def _find_comment(self, node: Any) -> str:  # noqa: ANN401
        """Find the comment of a member; bits without a name have no place, and none."""
        return self.header.find_comment(find_declaration(node), node.coord.column) if node.coord else ""

    def _resolve(self, node: Any) -> CType:  # noqa: ANN401
        """Find what type a declaration has."""
        kind = type(node).__name__
        if kind == "TypeDecl":
            return self._resolve(node.type)
        if kind == "ArrayDecl":
            if node.dim is None or not (number := self._evaluate(node.dim)):
                self._fail(node, "an array without a size; layouts say it by 'count'")
            named = node.dim.name if type(node.dim).__name__ == "ID" else ""
            inner = self._resolve(node.type)
            return CType(
                inner.kind, inner.size, inner.alignment, ((number, named), *inner.shape), inner.struct, inner.enum
            )
        if kind == "Struct":
            found = self.structs.get(node.name, node) if node.decls is None else node
            if found.decls is None:
                self._fail(node, f"struct {node.name} is not declared")
            struct = self._lay_out(found, node.name or "without a name")
            return CType("", struct.size, struct.alignment, (), struct)
        if kind == "Enum":
            enum = self.enums.get(node.name) if node.values is None else self._make_enum(node)
            if enum is None:
                self._fail(node, f"enum {node.name} is not declared")
            return CType("int32" if min(enum.values.values()) < 0 else "uint32", 4, 4, (), None, enum)
        if kind == "IdentifierType":
            return self._find_named(node)
        what = {
            "Union": "a union: the same bytes in two ways",
            "PtrDecl": "a pointer: an address says nothing in a file",
        }
        return self._fail(node, f"{what.get(kind, kind)}; write a struct with the member that is sent")

    def _find_named(self, node: Any) -> CType:  # noqa: ANN401
        """Find a type by its name."""
        name = " ".join(node.names)
        if name in self.typedefs:
            return self._resolve(self.typedefs[name].type)
        words = frozenset(word for word in node.names if word != "int") or frozenset(["int"])
        found = FIXED.get(name) or PLAIN_TYPES.get(words)
        if found is None or (node.names.count("long") == 2 and "double" in node.names):
            self._fail(node, f"the type {name!r} has no equal in layouts")
        return CType(found[0], found[1], found[1])

    def _evaluate(self, node: Any) -> int:  # noqa: ANN401
        """Compute a whole number that is constant."""
        kind = type(node).__name__
        if kind == "Constant" and "int" in node.type:
            return int(node.value, 8 if node.value.isdigit() and node.value[0] == "0" else 0)
        if kind == "Constant" and node.type == "char" and len(node.value) == 3:
            return ord(node.value[1])
        if kind == "ID" and node.name in self.constants:
            return self.constants[node.name]
        if kind == "ID" and node.name in self.header.constants:
            body = parse_c(f"int size[{self.header.constants[node.name]}];", CHeader(self.header.path))
            return self._evaluate(body.ext[0].type.dim)
        if kind == "UnaryOp" and node.op in "+-~":
            value = self._evaluate(node.expr)
            return {"+": value, "-": -value, "~": ~value}[node.op]
        if kind == "BinaryOp" and node.op in OPERATORS:
            return OPERATORS[node.op](self._evaluate(node.left), self._evaluate(node.right))
        return self._fail(node, f"{write_c(node)} is not a whole number that the header gives")

    def _fail(self, node: Any, message: str) -> NoReturn:  # noqa: ANN401
        """Refuse something at its line."""
        raise UsageError(message, where=f"{self.header.path}:{find_declaration(node)}")


def parse_c(first: str, header: CHeader) -> Any:  # noqa: ANN401 - of pycparser
    """Parse a line, and the lines of a header behind it."""
    parser: Any = import_extra("pycparser.c_parser", "reading a C header", "header")
    try:
        return parser.CParser().parse(f"{first}\n{header.text}", str(header.path))
    except parser.ParseError as error:
        where, _, message = str(error).removeprefix(f"{header.path}:").partition(": ")
        line = where.partition(":")[0]
        place = f"{header.path}:{int(line) - 1}" if line.isdigit() else header.path
        raise UsageError(f"this is not C as far as it is understood: {message or error}", where=place) from error


def write_c(node: Any) -> str:  # noqa: ANN401 - of pycparser
    """Write an expression as C."""
    generator: Any = import_extra("pycparser.c_generator", "reading a C header", "header")
    return str(generator.CGenerator().visit(node))


def find_declaration(node: Any) -> int:  # noqa: ANN401 - of pycparser
    """Find the line of the header in which something is declared; the first one is not the header's."""
    while node.coord is None and hasattr(node, "type"):
        node = node.type
    return node.coord.line - 1 if node.coord else 1
