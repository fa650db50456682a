// A button a file; Python makes the file when it is asked for.
function save({ name, refused }, buffers, note) {
  note.textContent = refused ?? "";
  if (refused) return;
  const link = document.createElement("a");
  Object.assign(link, { href: URL.createObjectURL(new Blob(buffers)), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function render({ model, el }) {
  const note = document.createElement("output");
  el.classList.add("downloads");
  for (const title of model.get("titles")) {
    const button = document.createElement("button");
    Object.assign(button, { textContent: title, className: "jupyter-button", onclick: () => model.send({ title }) });
    el.append(button);
  }
  el.append(note);
  model.on("msg:custom", (message, buffers) => save(message, buffers, note));
}

export default { render };
