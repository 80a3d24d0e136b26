"""Videos on the common paths: whatever provider makes a model's videos, it is asked in its own words.

The caller's request becomes a call in the provider's own wire, and goes the way of every call from there.
"""

from msgspec.structs import replace

from qlaud.core.catalog import Host, Model
from qlaud.core.errors import BadRequest
from qlaud.core.jobs import Job
from qlaud.flows.calls import Incoming
from qlaud.flows.directory import Directory
from qlaud.flows.elsewhere import places
from qlaud.wire.openai_video import remix_of
from qlaud.wire.shelf import VIDEOS, WIRES
from qlaud.wire.types import Asked
from qlaud.wire.videos import VideoFacts, read_ask

OPENAI_VIDEO = "openai_video"
JSON_TYPE = (b"content-type", b"application/json")


class Videos:
    """The verbs."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def native(self, incoming: Incoming) -> tuple[Incoming, str]:
        """The call in the wire of the model's own provider, and what the model is called here.

        Raises BadRequest, ModelNotFound.
        """
        name = incoming.wire.read_call(incoming.asked).model
        model = self._directory.catalog.resolve(name)
        host, wire = self._host(model)
        if wire == OPENAI_VIDEO:
            return incoming, model.slug
        ask = replace(read_ask(incoming.asked), model=host.upstream_name(name))
        body, wanted = VIDEOS[wire].compose(ask)
        if incoming.upload is not None:
            incoming.upload.close()
        headers = [pair for pair in incoming.headers if pair[0] != b"content-type"]
        native = replace(
            incoming,
            wire=WIRES[wire],
            wire_name=wire,
            headers=(*headers, JSON_TYPE, *wanted),
            asked=Asked(body=body, model=ask.model),
            upload=None,
        )
        return native, model.slug

    def remix(self, incoming: Incoming, job: Job, target: bytes) -> Incoming:
        """The call that makes another video from that of `job`."""
        return replace(
            incoming,
            wire=remix_of(job.terms.planned),
            asked=replace(incoming.asked, model=job.terms.upstream_model),
            provider=job.provider,
            target=target,
            pattern=None,
        )

    def _host(self, model: Model) -> tuple[Host, str]:
        """The host whose videos are asked for, and its wire: the cheapest that is configured, else the cheapest."""
        found = [(host, wire) for host in model.hosts for wire in host.wires if wire in VIDEOS]
        if not found:
            raise BadRequest(
                f'model "{model.slug}" makes no videos; call it on {places(model, self._directory)}',
                param="model",
            )
        registry = self._directory.registry
        ready = (pair for pair in found if registry.provider(pair[0].provider).configured)
        return next(ready, found[0])


def facts_of(job: Job) -> VideoFacts:
    """What we know of the video of a job ourselves."""
    planned = job.terms.planned
    return VideoFacts(
        id=job.upstream_id,
        model=job.terms.facts.model,
        created_at=job.created_at,
        video_ms=planned.video_ms,
        size=planned.grade,
    )
