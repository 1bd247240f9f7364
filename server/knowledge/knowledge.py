"""Knowledge in one object, which routes and commands are given."""

from dataclasses import dataclass

from server.knowledge.datasets import Datasets
from server.knowledge.documents import Documents
from server.knowledge.ingestion import Ingestion
from server.knowledge.live.search import LiveSearch
from server.knowledge.oversight import Oversight
from server.knowledge.personas import Personas
from server.knowledge.removal import Removal
from server.knowledge.search.retrieval import Retrieval
from server.knowledge.users import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    datasets: Datasets
    documents: Documents
    removal: Removal
    ingestion: Ingestion
    retrieval: Retrieval
    oversight: Oversight
    personas: Personas
    live: LiveSearch
    users: Users
