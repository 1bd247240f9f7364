"""How long a text is to an encoder, without loading it: for those who cut texts to what it reads at once."""

from pathlib import Path

from server.engines.embed.recipe import Recipe, read_recipe
from server.engines.embed.rows import Reader


class TextMeasure:
    """most: tokens that a text may have to be read at once, without those that are put around and before it.

    Calling `tokens` is blocking work; several threads may.
    """

    def __init__(self, folder: Path, max_tokens: int | None) -> None:
        """max_tokens: as the model's config has it. Raises ModelUnavailable."""
        self.recipe: Recipe = read_recipe(folder)
        self._reader = Reader(
            folder / "tokenizer.json", min(max_tokens or self.recipe.max_tokens, self.recipe.max_tokens)
        )
        prompts = (self.prompt(query=True), self.prompt(query=False), self.recipe.prompt)
        self.most = max(self._reader.max_tokens - self._reader.own - max(map(self.tokens, prompts)), 1)

    def tokens(self, text: str) -> int:
        """Those of the text itself."""
        (ids,) = self._reader.ids([text.lower() if self.recipe.lower else text])
        return len(ids) - self._reader.own

    def prompt(self, *, query: bool) -> str:
        """What is to be put before a text that is a query, or a document; what the engine puts there is not in it."""
        if self.recipe.prompt:
            return ""
        return self.recipe.query_prompt if query else self.recipe.document_prompt
