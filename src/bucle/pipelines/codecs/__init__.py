"""Values between steps: stored by content, by type, never by pickle."""

from bucle.pipelines.codecs.models import own_modules
from bucle.pipelines.codecs.protocol import Codec, ValueRef, contents, identity
from bucle.pipelines.codecs.tree import NotPlain, decode_tree, encode_tree, name_of, named, tree_bytes
from bucle.pipelines.codecs.values import FORMAT, decode_value, encode_value, is_heavy

__all__ = [
    "FORMAT",
    "Codec",
    "NotPlain",
    "ValueRef",
    "contents",
    "decode_tree",
    "decode_value",
    "encode_tree",
    "encode_value",
    "identity",
    "is_heavy",
    "name_of",
    "named",
    "own_modules",
    "tree_bytes",
]
