"""OpenAI's own client for Python, which is told where the gateway is and nothing else: pip install openai

Prints as JSON what it made of an answer, a stream and a refusal."""

import json
import sys

from openai import OpenAI, RateLimitError

client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)


def chat(content, **more):
    return client.chat.completions.create(model="", messages=[{"role": "user", "content": content}], **more)


answer = chat("hi")
parts = [part.choices[0].delta.content for part in chat("hi", stream=True) if part.choices]
try:
    chat("too much")
    refused = None
except RateLimitError as error:
    refused = error.status_code
print(
    json.dumps(
        {
            "text": answer.choices[0].message.content,
            "tokens": answer.usage.total_tokens,
            "parts": [part for part in parts if part],
            "refused": refused,
        }
    )
)
