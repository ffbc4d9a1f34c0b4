"""OpenAI's own client for Python, which is told where the gateway is and nothing else: pip install openai

Prints as JSON what it made of tools, asked for whole and in a stream, of embeddings and of an image."""

import json
import sys

from openai import OpenAI

client = OpenAI(base_url=f"{sys.argv[1]}/chat", api_key="none", max_retries=0)
kept = OpenAI(base_url=f"{sys.argv[1]}/kept", api_key="none", max_retries=0)
tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
question = [{"role": "user", "content": "how is it?"}]

asked = client.chat.completions.create(model="m", messages=question, tools=tools).choices[0].message
call = asked.tool_calls[0]
result = {"role": "tool", "tool_call_id": call.id, "content": "snow"}
told = client.chat.completions.create(model="m", messages=[*question, asked, result], tools=tools)
streamed = ""
for part in client.chat.completions.create(model="m", messages=question, tools=tools, stream=True):
    for choice in part.choices:
        for each in choice.delta.tool_calls or []:
            streamed += each.function.arguments or ""
print(
    json.dumps(
        {
            "call": [call.function.name, json.loads(call.function.arguments)],
            "told": told.choices[0].message.content,
            "streamed": json.loads(streamed),
            "embedding": kept.embeddings.create(model="m", input="text", encoding_format="float").data[0].embedding,
            "image": kept.images.generate(model="m", prompt="a cat").data[0].b64_json,
        }
    )
)
