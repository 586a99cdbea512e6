"""Speech over HTTP, as clients of OpenAI's interface know it."""
