"""What the vendor's Python client sends, byte for byte as it was seen on a socket, by `requests` as it does.

That client itself is proprietary: its licence lets nobody install it who holds none. Those who do run the same checks
with it by `scripts/clients asksage`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests


class Wire:
    """The methods by their names there, each one POST. Answers are the decoded JSON, whatever its `status`.

    Raises requests.HTTPError for an HTTP status from 400 on, and RuntimeError where a token is refused.
    """

    def __init__(self, email: str, api_key: str, user_base_url: str, server_base_url: str) -> None:
        """With an e-mail address the key is exchanged for a token first; without one it is the token."""
        self.user = user_base_url
        self.server = server_base_url
        self.headers: dict[str, str] = {}
        token = api_key
        if email:
            made = self._post(self.user, "get-token-with-api-key", json={"email": email, "api_key": api_key})
            if int(made["status"]) != 200:
                raise RuntimeError(made)
            token = made["response"]["access_token"]
        self.headers = {"x-access-tokens": token}

    # ------------------------------------------------------------ /server

    def get_models(self) -> Any:
        return self._post(self.server, "get-models", json={})

    def query(self, message: Any, *, file: Path | str | None = None, **fields: Any) -> Any:
        """A form: text as it is, lists as JSON, of a dataset's list a field each; multipart where there is a file."""
        chosen = {"persona": "default", "dataset": "all", "temperature": 0.0, "live": 0, "model": "openai_gpt"} | fields
        for name in ("tools", "tool_choice"):
            if chosen.get(name) is not None:
                chosen[name] = json.dumps(chosen[name])
        text = message if isinstance(message, str) else json.dumps(message)
        return self._form("query", {"message": text} | chosen, file)

    query_with_file = query

    def query_plugin(self, plugin_tag: str, **params: Any) -> Any:
        """The template is filled on the client's side; None where no plugin has the tag."""
        tag = plugin_tag if "[[" in plugin_tag else f"[[{plugin_tag}]]"
        templates = [plugin["prompt_template"] for plugin in self.get_plugins()["response"]]
        template = next((one for one in templates if tag in one), None)
        return None if template is None else self.query(template.format(**params))

    def execute_plugin(self, plugin_name: str, plugin_values: Any, model: str | None = None) -> Any:
        fields = {"plugin_name": plugin_name, "plugin_values": json.dumps(plugin_values), "model": model}
        return self._form("execute-plugin", fields)

    def follow_up_questions(self, message: str) -> Any:
        return self._post(self.server, "follow-up-questions", json={"message": message})

    def tokenizer(self, content: str) -> Any:
        return self._post(self.server, "tokenizer", json={"content": content})

    def get_personas(self) -> Any:
        return self._post(self.server, "get-personas")

    def get_datasets(self) -> Any:
        return self._post(self.server, "get-datasets")

    def get_plugins(self) -> Any:
        return self._post(self.server, "get-plugins")

    def count_monthly_tokens(self) -> Any:
        return self._post(self.server, "count-monthly-tokens")

    def count_monthly_teach_tokens(self) -> Any:
        return self._post(self.server, "count-monthly-teach-tokens")

    def train(
        self, content: str, force_dataset: str | None = None, context: str = "", skip_vectordb: bool = False
    ) -> Any:
        fields = {"content": content, "force_dataset": force_dataset, "context": context}
        return self._post(self.server, "train", json=fields | {"skip_vectordb": skip_vectordb})

    def train_with_file(self, file_path: Path | str, dataset: str) -> Any:
        return self._form("train-with-file", {"dataset": dataset}, file_path)

    def file(self, file_path: Path | str, strategy: str = "auto") -> Any:
        return self._form("file", {"strategy": strategy}, file_path)

    def delete_filename_from_dataset(self, dataset: str, filename: str) -> Any:
        """Not of that client: the service's own documents name it."""
        return self._post(self.server, "delete-filename-from-dataset", json={"dataset": dataset, "filename": filename})

    # ------------------------------------------------------------ /user

    def add_dataset(self, dataset: str, classification: str | None = None) -> Any:
        return self._post(self.user, "add-dataset", json={"dataset": dataset, "classification": classification})

    def delete_dataset(self, dataset: str) -> Any:
        return self._post(self.user, "delete-dataset", json={"dataset": dataset})

    def assign_dataset(self, dataset: str, email: str) -> Any:
        return self._post(self.user, "assign-dataset", json={"dataset": dataset, "email": email})

    def get_user_logs(self) -> Any:
        return self._post(self.user, "get-user-logs")

    def get_user_logins(self, limit: int = 5) -> Any:
        return self._post(self.user, "get-user-logins", json={"limit": limit})

    def append_chat(self, chat_title: str, chats: Any) -> Any:
        return self._post(self.user, "append-chat", json={"chats": chats, "chat_title": chat_title})

    def admin_get_all_users_with_tokens(self, start: int = 0, limit: int = 200, email: str | None = None) -> Any:
        fields: dict[str, Any] = {"start": start, "limit": limit} | ({"email": email} if email else {})
        return self._post(self.user, "admin-get-all-users-with-tokens", json=fields)

    def admin_update_user_tokens(self, user_id: int | str, tokens_count: int) -> Any:
        fields = {"id": str(user_id), "tokens": tokens_count}
        return self._post(self.user, "admin-update-user-tokens", json=fields)

    def admin_update_user_train_tokens(self, user_id: int | str, tokens_count: int) -> Any:
        fields = {"id": str(user_id), "tokens": tokens_count}
        return self._post(self.user, "admin-update-user-train-tokens", json=fields)

    # ------------------------------------------------------------ the wire

    def _form(self, name: str, fields: Mapping[str, Any], file: Path | str | None = None) -> Any:
        if file is None:
            return self._post(self.server, name, data=fields)
        with Path(file).open("rb") as opened:
            return self._post(self.server, name, data=fields, files={"file": opened})

    def _post(self, base: str, name: str, **body: Any) -> Any:
        answer = requests.post(f"{base}/{name}", headers=self.headers, timeout=200, **body)
        answer.raise_for_status()
        return answer.json()
