// Without this script everything is shown; with it one can look for a record.
const lanes = [...document.querySelectorAll(".lane")];
const controls = document.querySelector(".controls");
const find = document.querySelector("#find");
const onlyHeld = document.querySelector("#only-held");
const found = document.querySelector("#found");
controls.hidden = lanes.length < 2;
function filter() {
  const words = find.value.trim().toLowerCase();
  let shown = 0;
  for (const lane of lanes) {
    const wanted = lane.dataset.record.toLowerCase().includes(words) && !(onlyHeld.checked && lane.dataset.held === "0");
    lane.hidden = !wanted;
    shown += wanted;
  }
  found.textContent = shown === lanes.length ? "" : `${shown} of ${lanes.length}`;
}
find.addEventListener("input", filter);
onlyHeld.addEventListener("input", filter);
