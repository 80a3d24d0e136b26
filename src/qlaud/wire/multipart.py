"""What a `multipart/form-data` body holds: its fields, and where its files are."""

from msgspec import Struct


class FilePart(Struct, frozen=True, gc=False):
    """A file within a form: where it stands in the body."""

    name: str
    filename: str
    content_type: str
    offset: int
    size: int


class Form(Struct, frozen=True):
    """A whole form."""

    files: tuple[FilePart, ...] = ()
