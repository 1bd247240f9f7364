"""LiteLLM as a library: chat, stream, completion, embeddings, rerank, speech, transcription, pictures, errors."""

import io
import os

import litellm

litellm.telemetry = False
where = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"], "num_retries": 0}
question = [{"role": "user", "content": "What is the capital of Japan?"}]
answer = litellm.completion(model="openai/gpt-4o-mini", messages=question, temperature=0, max_tokens=40, **where)
assert "Tokyo" in answer.choices[0].message.content, answer
pieces = list(
    litellm.completion(
        model="openai/gpt-4o-mini",
        messages=question,
        temperature=0,
        max_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
        **where,
    )
)
assert "Tokyo" in "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices), pieces
assert any(getattr(piece, "usage", None) for piece in pieces), pieces
text = litellm.text_completion(
    model="text-completion-openai/gpt-4o-mini", prompt="The capital of Japan is", max_tokens=5, temperature=0, **where
)
assert text.choices[0].text.strip(), text
vectors = litellm.embedding(model="openai/text-embedding-3-small", input=["one", "two"], **where)
assert [len(item["embedding"]) for item in vectors.data] == [384, 384], vectors
ranked = litellm.rerank(
    model="hosted_vllm/text-embedding-3-small",
    query="How do you make a loaf?",
    documents=["The rocket reached orbit.", "Bread is baked from flour, water and yeast."],
    top_n=1,
    api_base=os.environ["OPENAI_BASE_URL"].removesuffix("/v1"),
    api_key=os.environ["OPENAI_API_KEY"],
)
assert [result["index"] for result in ranked.results] == [1], ranked
speech = litellm.speech(model="openai/tts-1", voice="alloy", input="Good morning.", **where)
sound = io.BytesIO(speech.content)
sound.name = "speech.mp3"
heard = litellm.transcription(model="openai/whisper-1", file=sound, **where)
assert "morning" in heard.text.lower(), heard
picture = litellm.image_generation(model="openai/gpt-image-1", prompt="red heart", **where)
assert picture.data[0].b64_json, picture
failure = None
try:
    litellm.completion(model="openai/no-such-model", messages=question, **where)
except litellm.NotFoundError as error:
    failure = error
assert "no-such-model" in str(failure), failure
