"""HTML and SVG as nested calls, where text is escaped unless it is markup already."""

from html import escape


class Markup(str):
    """Text that is HTML: made by `element` alone, so that what a model wrote can never be part of it."""


def element(tag: str, *children, **attributes) -> Markup:
    """`<tag attributes>children</tag>`; children are strings, Markup, None or lists of them. class_ stands for class,
    and an underscore inside an attribute's name for a hyphen. A value of None or False leaves the attribute out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in ("input", "meta", "br"):
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(children)}</{tag}>")


def joined(children) -> Markup:
    """Children one after the other, escaped where they are plain text."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (list, tuple)):
        return Markup("".join(joined(child) for child in children))
    return Markup(escape(str(children)))
