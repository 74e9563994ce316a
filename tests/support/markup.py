"""What a page is made of, for the tests of those we write."""

from html.parser import HTMLParser

EVIL = "<script>alert(1)</script>"
EVIL_ATTRIBUTE = '"><img src=x onerror=alert(1)>'
FETCHES = {"src", "href", "xlink:href", "data", "poster", "srcset", "action", "formaction"}


class Page(HTMLParser):
    """The elements of a page, its text, and what it never closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def assert_fetches_nothing(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"link", "script", "iframe", "object", "embed", "base", "img"}
    # A link is followed by a person, never by the page.
    fetching = [attributes for tag, attributes in page.elements if tag != "a"]
    fetched = [value or "" for attributes in fetching for name, value in attributes.items() if name in FETCHES]
    assert all(value.startswith("#") for value in fetched)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
