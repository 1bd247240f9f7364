"""Open WebUI's own HTTP API, as its pages call it: models, chat, speech both ways, pictures, documents.

Called as `open_webui.py URL`, with the address of a running `open-webui serve`.
"""

import json
import sys
import time
from typing import Any

import httpx

QUESTION = [{"role": "user", "content": "What is the capital of Japan?"}]
RECIPES = "Bread is baked from flour, water and yeast. The dough rests for an hour."
SPACE = "The rocket reached orbit after nine minutes. Its second stage fell into the sea."


def checked(answer: httpx.Response) -> Any:
    """The answer's JSON; whatever it says is shown where it is an error."""
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


def uploaded(http: httpx.Client, name: str, text: str) -> str:
    """The id of a document that has been read, cut and embedded."""
    file = checked(
        http.post(
            "/api/v1/files/",
            files={"file": (name, text.encode(), "text/plain")},
            params={"process_in_background": "false"},
        )
    )
    for _ in range(120):
        status = checked(http.get(f"/api/v1/files/{file['id']}/process/status"))["status"]
        if status != "pending":
            break
        time.sleep(0.5)
    assert status == "completed", checked(http.get(f"/api/v1/files/{file['id']}"))
    return file["id"]


with httpx.Client(base_url=sys.argv[1], timeout=120) as http:
    # With WEBUI_AUTH=False any name signs in, as the page does by itself.
    token = checked(http.post("/api/v1/auths/signin", json={"email": "", "password": ""}))["token"]
    http.headers["Authorization"] = f"Bearer {token}"

    names = [model["id"] for model in checked(http.get("/api/models"))["data"]]
    assert {"gpt-4o-mini", "gpt-4o", "deepseek-v4-flash"} <= set(names), names
    print("models:", len(names))

    ask = {"model": "gpt-4o-mini", "messages": QUESTION, "temperature": 0, "max_tokens": 40}
    answer = checked(http.post("/api/chat/completions", json={**ask, "stream": False}))
    assert "Tokyo" in answer["choices"][0]["message"]["content"], answer
    text = ""
    with http.stream("POST", "/api/chat/completions", json={**ask, "stream": True}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:]).get("choices", []):
                    text += choice["delta"].get("content") or ""
    assert "Tokyo" in text, text
    print("chat, stream: Tokyo")

    speech = http.post("/api/v1/audio/speech", json={"input": "Good morning, everyone.", "voice": "alloy"})
    assert speech.is_success, speech.text
    assert len(speech.content) > 4000, speech.content[:100]
    heard = checked(
        http.post("/api/v1/audio/transcriptions", files={"file": ("speech.mp3", speech.content, "audio/mpeg")})
    )
    assert "morning" in heard["text"].lower(), heard
    print("speech, transcription:", heard["text"])

    (picture,) = checked(http.post("/api/v1/images/generations", json={"prompt": "red heart"}))
    shown = http.get(picture["url"])
    assert shown.content.startswith((b"\x89PNG", b"\xff\xd8")), (picture, shown.content[:100])
    print("picture:", len(shown.content), "bytes")

    bread, rocket = uploaded(http, "bread.txt", RECIPES), uploaded(http, "rocket.txt", SPACE)
    collections = [f"file-{bread}", f"file-{rocket}"]
    found = checked(
        http.post(
            "/api/v1/retrieval/query/collection",
            json={"collection_names": collections, "query": "How do you make a loaf?", "k": 2},
        )
    )
    assert "flour" in found["documents"][0][0], found
    print("documents: the nearest is", found["documents"][0][0][:30])
    asked = [{"role": "user", "content": "What is bread baked from?"}]
    said = checked(
        http.post(
            "/api/chat/completions",
            json={**ask, "messages": asked, "stream": False, "files": [{"type": "file", "id": bread}]},
        )
    )
    # The starter model does not follow the page of instructions round the document: its words are not looked at.
    ((document,),) = [source["document"] for source in said["sources"]]
    assert document == RECIPES, said
    assert said["choices"][0]["message"]["content"].strip(), said
    print("chat with a document:", said["usage"])
