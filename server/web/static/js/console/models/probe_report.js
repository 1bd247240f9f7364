/** How a probe went: what was asked, what was answered, and why it did not pass. */
import { IconButton } from "../../components/button.js";
import { Badge } from "../../components/states.js";
import { html } from "../../lib.js";
import { duration } from "../times.js";

export function ProbeReport({ report, onClose }) {
  return html`<section class="ops-probe stack" role="status" aria-label="Probe">
    <div class="card-head">
      <p><${Badge} kind=${report.passed ? "good" : "bad"}>${report.passed ? "passed" : "did not pass"}</${Badge}> The probe took ${duration(report.seconds)}.</p>
      <${IconButton} label="Close the probe's report" icon="close" onClick=${onClose} />
    </div>
    ${
      report.checks.length > 0 &&
      html`<dl class="ops-checks">
      ${report.checks.map(
        (check) => html`<div key=${check.task}>
          <dt>${check.task}</dt>
          <dd><span class="hint">Asked:</span> ${check.asked}</dd>
          <dd><span class="hint">Answered:</span> ${check.answered}</dd>
        </div>`,
      )}
    </dl>`
    }
    ${report.reason && html`<p class="ops-reason">${report.reason}</p>`}
  </section>`;
}
