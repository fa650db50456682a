// Files to Python, a slice at a time, each sent when the last is on disk: none is ever in memory as a whole.
const SLICE = 2 ** 20;

function answers(model) {
  let next = null;
  model.on("msg:custom", (message) => next?.(message));
  return (message, buffers) =>
    new Promise((resolve, reject) => {
      next = (answer) => (answer.refused ? reject(new Error(answer.refused)) : resolve());
      model.send(message, undefined, buffers);
    });
}

async function send(files, ask, say) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  await ask({ type: "begin", n_bytes: total });
  let sent = 0;
  for (const file of files) {
    for (let at = 0; at < file.size || at === 0; at += SLICE) {
      await ask({ type: "slice", name: file.name }, [await file.slice(at, at + SLICE).arrayBuffer()]);
      sent = Math.min(sent + SLICE, total);
      say(`${Math.floor((100 * sent) / Math.max(total, 1))} % sent`);
    }
  }
  await ask({ type: "end" });
  say("");
}

function render({ model, el }) {
  const input = document.createElement("input");
  const note = document.createElement("output");
  Object.assign(input, { type: "file", multiple: true, ariaLabel: "Files of the recording" });
  el.classList.add("upload");
  el.append(input, note);
  const say = (text) => { note.textContent = text; };
  const ask = answers(model);
  input.addEventListener("change", async () => {
    input.disabled = true;
    await send([...input.files], ask, say).catch((error) => say(error.message));
    Object.assign(input, { disabled: false, value: "" });
  });
}

export default { render };
