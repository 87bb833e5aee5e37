/**
 * The credentials in a URL, as a value of Authorization or Proxy-Authorization (RFC 7617).
 *
 * @returns undefined when the URL has none
 */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  return `Basic ${Buffer.from(`${percentDecoded(username)}:${percentDecoded(password)}`).toString("base64")}`;
}

/** A percent sign that begins no escape is one, as it is for Python. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
