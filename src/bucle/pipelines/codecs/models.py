"""Models and training frames between steps."""

from bucle.pipelines.codecs.protocol import Codec

MODELS: tuple[Codec, ...] = ()
