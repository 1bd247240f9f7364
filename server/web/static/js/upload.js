/** A request whose way up can be watched, as fetch can't: by XMLHttpRequest, with a Response as its answer. */

/**
 * As fetch(url, {method, headers, body, signal}). onUpload: gets the bytes that are sent and how many there are, again and
 * again. Raises AbortError where `signal` says so, and TypeError where no answer came.
 * @returns {Promise<Response>} as soon as its head is there; its body goes on.
 */
export function uploading(url, { method, headers, body, signal, onUpload }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const encoder = new TextEncoder();
    let sink = null;
    let seen = 0;
    const more = () => {
      const text = request.responseText.slice(seen);
      seen += text.length;
      if (text) sink.enqueue(encoder.encode(text));
    };
    const failed = (error) => {
      if (sink) sink.error(error);
      else reject(error);
    };
    const stop = () => request.abort();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onUpload(event.loaded, event.total);
    request.onreadystatechange = () => {
      if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED) return;
      const stream = new ReadableStream({
        start: (controller) => {
          sink = controller;
        },
        cancel: stop,
      });
      resolve(new Response(stream, { status: request.status, headers: headersOf(request.getAllResponseHeaders()) }));
    };
    request.onprogress = more;
    request.onload = () => {
      more();
      sink.close();
    };
    request.onerror = () => failed(new TypeError("The request failed."));
    request.onabort = () => failed(new DOMException("The request was stopped.", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) {
      failed(new DOMException("The request was stopped.", "AbortError"));
      return;
    }
    signal?.addEventListener("abort", stop);
    request.send(body);
  });
}

/** Lines of `name: value`. */
export function headersOf(text) {
  const lines = text.split("\r\n").filter(Boolean);
  return new Headers(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
}
