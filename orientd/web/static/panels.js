// Dialogs, and the bar that shows the job in hand.

import { get, post } from "./api.js";

const $ = (id) => document.getElementById(id);
const photos = (number) => `${number.toLocaleString()} ${number === 1 ? "photo" : "photos"}`;

// Asks in a dialog; true if the answer is yes.
function confirmed(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

export class Panels {
  constructor(page) {
    this.page = page;
    for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
    $("help").addEventListener("click", () => this.keys());
    $("many").addEventListener("click", () => this.many());
    $("apply").addEventListener("click", () => this.apply());
    $("job-undo").addEventListener("click", () => this.undo());
    $("job-stop").addEventListener("click", () => this.post("stop"));
    $("job-close").addEventListener("click", () => { this.closed = this.job; this.bar(this.job); });
  }

  keys() {
    $("keys").showModal();
  }

  totals({ accepted, proposed, readOnly, plan }) {
    if (accepted === undefined) return;
    Object.assign(this, { accepted, proposed, readOnly });
    $("apply").hidden = Boolean(readOnly);
    $("apply").disabled = !proposed || this.isBusy;
    $("apply").textContent = accepted ? `Apply ${accepted.toLocaleString()}…` : "Apply…";
    $("plan").textContent = plan.split("/").at(-1);
    $("plan").title = plan;
  }

  // Shows what the server tells; true while a job goes on.
  state(reply) {
    this.isBusy = Boolean(reply.job && !reply.job.ended);
    this.totals(reply);
    if (JSON.stringify(reply.job) !== JSON.stringify(this.job)) {
      const ended = this.job && !this.job.ended && reply.job?.ended;
      this.job = reply.job;
      this.bar(reply.job);
      if (ended) this.page.say($("job-text").textContent);
    }
    if (!reply.ready) {
      $("empty").hidden = false;
      $("empty").textContent = reply.job?.ended ? "There is nothing to review." : "The photos come as soon as all of them were looked at.";
    }
    return this.isBusy;
  }

  bar(job) {
    $("job").hidden = !job || (this.closed && JSON.stringify(this.closed) === JSON.stringify(job)) || (job.kind === "scan" && job.ended && !job.error && !job.notices.length);
    if ($("job").hidden) return;
    $("job-text").textContent = words(job);
    $("job-bar").hidden = job.ended;
    if (job.total) { $("job-bar").max = job.total; $("job-bar").value = Math.min(job.done, job.total); } else $("job-bar").removeAttribute("value");
    $("job-stop").hidden = job.ended;
    $("job-close").hidden = !job.ended;
    $("job-undo").hidden = !job.ended || job.kind !== "apply" || !job.fixed || this.readOnly;
    const lines = [...job.failures.map(([path, reason]) => `${path}: ${reason}`), ...job.notices];
    $("job-more").hidden = !lines.length;
    $("job-more").firstElementChild.textContent = job.failures.length ? `${photos(job.failed)} left alone, and why` : "Notices";
    $("job-more").lastElementChild.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }

  async post(path, said) {
    try {
      this.page.took(await post(path, said));
    } catch (error) {
      this.page.warn(error);
    }
    this.page.poll();
  }

  async apply() {
    try {
      this.totals(await get("state"));
    } catch (error) {
      return this.page.warn(error);
    }
    const dialog = $("ask-apply"), [mine, all] = dialog.querySelectorAll("input"), rest = this.proposed - this.accepted;
    $("which-accepted").textContent = `The ${photos(this.accepted)} that you accepted or turned`;
    $("which-all").textContent = `These and the ${rest === 1 ? "proposal" : `${rest.toLocaleString()} proposals`} that you have not decided on: ${photos(this.proposed)}`;
    mine.disabled = !this.accepted;
    mine.checked = this.accepted > 0;
    all.checked = !mine.checked;
    all.parentElement.hidden = !rest;
    const count = () => (mine.checked ? this.accepted : this.proposed);
    const reply = () => { $("apply-yes").textContent = `Turn ${photos(count())}`; };
    dialog.onchange = reply;
    reply();
    if (await confirmed(dialog)) await this.post("apply", { which: mine.checked ? "accepted" : "all", count: count() });
  }

  async undo() {
    const { run, fixed } = this.job;
    $("undo-title").textContent = `Undo run ${run}?`;
    $("undo-text").textContent = `${photos(fixed)} ${fixed === 1 ? "gets its" : "get their"} very bytes back. What you decided stays noted, and can be applied again.`;
    if (await confirmed($("ask-undo"))) await this.post("undo", { run });
  }

  async many() {
    const dialog = $("ask-many"), folder = this.page.folder(), form = dialog.querySelector("form");
    const [shown, here] = form.elements.where, select = document.querySelector(".filters").elements.folder;
    const option = folder && [...select.options].find((one) => one.text.replace(/ \([^()]*\)$/, "") === folder.folder);
    here.disabled = !option;
    if (!option) shown.checked = true;
    $("many-folder").textContent = option ? `Only of ${folder.folder}` : "Only of one folder";
    if (!(await confirmed(dialog))) return;
    const query = { ...this.page.filters(), ...(here.checked && option ? { folder: option.value } : {}) };
    try {
      const reply = await post("accept", { query, above: Number(form.elements.above.value) / 100 });
      this.page.took(reply);
      this.page.say(reply.changed.length ? `${photos(reply.changed.length)} accepted` : "No proposal here is that certain.", true);
    } catch (error) {
      this.page.warn(error);
    }
  }
}

function words(job) {
  const end = job.error || (job.stopped ? "Stopped before the end." : "");
  if (job.kind === "scan") {
    return job.error ? `The scan failed: ${job.error}` : job.stopped && job.ended ? "The scan was stopped." : `Looking at your photos: ${job.done.toLocaleString()}${job.total ? ` of ${job.total.toLocaleString()}` : ""}, ${job.found.toLocaleString()} sideways or upside down so far`;
  }
  const done = job.kind === "apply" ? "turned" : "with their old bytes again";
  if (!job.ended) return `${job.kind === "apply" ? "Turning" : "Undoing"}: ${job.done.toLocaleString()} of ${job.total.toLocaleString()}`;
  const left = job.failed ? `, ${photos(job.failed)} left alone` : "", run = job.run ? ` (run ${job.run})` : "";
  return `${photos(job.fixed)} ${done}${left}${run}. ${end}`.trim();
}
