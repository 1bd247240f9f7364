"""From a question to passages: both orders of each dataset, fused, and put in order once more where that is wanted."""

from collections.abc import Sequence

from server.core import Caller
from server.knowledge.records import Dataset, Fusion, Passage


class Retrieval:
    """Search. Only the datasets given are looked at: who may see which is for `Datasets` to say."""

    async def search(
        self,
        caller: Caller,
        query: str,
        datasets: Sequence[Dataset],
        limit: int,
        *,
        fusion: Fusion | None = None,
    ) -> Sequence[Passage]:
        """The best passages of all, best first. fusion: in place of the datasets' own, for measurements.

        The caller pays for the query's vector, one by embedding model. Raises what `Models.embed` does, and
        KnowledgeUnavailable where a dataset's model is not served here any more.
        """
        raise NotImplementedError
