"use strict";
/* The console: reads what the status endpoint serves to everybody and the panels below /console, and shows it. Texts of senders are only ever set as text. */
(() => {
  const mount = location.pathname.replace(/\/console\/?$/, "");
  const main = document.getElementById("main");
  const told = document.getElementById("told");
  const health = document.getElementById("health");
  const sandbox = document.getElementById("sandbox");
  const TOKEN = "waybill token";
  const FOLLOW_MS = 3000;
  const HEALTH_MS = 15000;
  let view = 0; // grows with every view: an answer for an older one is dropped

  /* ---- elements ---- */

  function el(name, attributes, ...children) {
    const svg = ["svg", "g", "rect", "line", "text", "title"].includes(name) && attributes && attributes.svg;
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key !== "svg" && value !== null && value !== undefined && value !== false) {
        element.setAttribute(key, value === true ? "" : value);
      }
    }
    element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  const at = (text) => text && el("time", {datetime: text, title: text}, new Date(text).toLocaleString([], {dateStyle: "medium", timeStyle: "short"}));

  const GOOD = ["delivered", "applied", "ok"];
  const WARN = ["attempt_failed", "available_for_pickup", "exception", "returning", "expired", "moved_after_cancelled", "moved_after_delivered", "moved_after_failed", "returned", "degraded", "conflict"];
  const BAD = ["failed", "returned", "cancelled", "quarantined", "unavailable"];
  function word(text) {
    const tone = GOOD.includes(text) ? "good" : WARN.includes(text) ? "warn" : BAD.includes(text) ? "bad" : "calm";
    return el("span", {class: `word ${tone}`}, String(text).replaceAll("_", " "));
  }

  /* Only what is a link for a browser becomes one. */
  function link(url) {
    return /^https?:\/\//i.test(url) ? el("a", {href: url, rel: "noopener noreferrer", target: "_blank"}, url) : String(url);
  }

  function facts(rows) {
    const list = el("dl");
    for (const [name, value] of rows) {
      if (value !== null && value !== undefined && value !== "" && value !== false) {
        list.append(el("dt", null, name), el("dd", null, value));
      }
    }
    return list;
  }

  /* COLUMNS: title to what a row shows there. */
  function table(caption, columns, rows, nothing) {
    if (rows.length === 0) {
      return el("p", {class: "quiet"}, nothing);
    }
    const titles = Object.keys(columns);
    return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption}, el("table", null,
      el("thead", null, el("tr", null, titles.map((title) => el("th", {scope: "col"}, title)))),
      el("tbody", null, rows.map((row) => el("tr", null, titles.map((title) => el("td", {"data-title": title}, el("div", null, columns[title](row)))))))));
  }

  const orderPath = (source, id) => `/orders/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
  const orderLink = (source, id, text) => el("a", {href: `#${orderPath(source, id)}`}, text || id);
  const statusWords = (order) => [order.status, ...order.attention.filter((reason) => reason !== order.status)].flatMap((one) => [word(one), " "]);

  function say(text) {
    told.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { told.textContent = ""; }, 8000);
  }

  /* ---- asking ---- */

  class Refused extends Error {}
  class Missing extends Error {}

  async function ask(path, parameters) {
    const query = new URLSearchParams(parameters || {}).toString();
    const token = sessionStorage.getItem(TOKEN);
    const answer = await fetch(`${mount}${path}${query ? `?${query}` : ""}`, {
      headers: token ? {Authorization: `Bearer ${token}`} : {}, credentials: "same-origin", cache: "no-cache", redirect: "error"});
    if (answer.status === 401) {
      throw new Refused("The token is not accepted.");
    }
    if (answer.status === 404) {
      throw new Missing("There is no such order, or it is not yours to see.");
    }
    if (!answer.ok && !path.endsWith("/readyz")) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail || problem.title || `The server answered ${answer.status}.`);
    }
    return answer.json();
  }

  const traffic = () => ({live: String(!sandbox.checked)});

  /* ---- views: each returns its elements; a panel of its own may fail alone ---- */

  async function panel(title, make, whole) {
    const card = el("section", {class: whole ? "card whole" : "card"}, el("h2", null, title));
    try {
      card.append(...[await make()].flat());
    } catch (failure) {
      if (failure instanceof Refused) {
        throw failure;
      }
      card.append(el("p", {class: "warn"}, failure.message));
    }
    return card;
  }

  const OUTCOMES = ["applied", "ignored", "repeated", "quarantined"];

  function chart(hours) {
    const WIDTH = 960, HEIGHT = 220, LEFT = 52, BOTTOM = 28, TOP = 8;
    const sum = (hour) => OUTCOMES.reduce((total, outcome) => total + hour[outcome], 0);
    const most = Math.max(1, ...hours.map(sum));
    const scale = (HEIGHT - BOTTOM - TOP) / most;
    const step = (WIDTH - LEFT) / Math.max(1, hours.length);
    const label = (hour) => new Date(hour.hour).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
    const svg = (name, attributes, ...children) => el(name, {svg: true, ...attributes}, ...children);
    const bars = hours.map((hour, index) => {
      let top = HEIGHT - BOTTOM;
      return svg("g", null, svg("title", null, `${label(hour)}: ${OUTCOMES.map((name) => `${hour[name]} ${name}`).join(", ")}`),
        OUTCOMES.filter((name) => hour[name] > 0).map((name) => {
          const height = Math.max(1, hour[name] * scale);
          top -= height;
          return svg("rect", {class: name, x: LEFT + index * step + 2, y: top, width: Math.max(1, step - 4), height});
        }));
    });
    const every = Math.ceil(hours.length / 8);
    return [
      svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Deliveries by hour and outcome; the same figures are in the table below"},
        svg("line", {class: "axis", x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM}),
        svg("text", {x: LEFT - 6, y: TOP + 8, "text-anchor": "end"}, most.toLocaleString()),
        svg("text", {x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end"}, "0"),
        bars,
        hours.map((hour, index) => index % every === 0 && svg("text", {x: LEFT + index * step + 2, y: HEIGHT - 6}, label(hour)))),
      el("ul", {class: "legend small"}, OUTCOMES.map((name) => el("li", null, el("span", {class: name}),
        `${name} ${hours.reduce((total, hour) => total + hour[name], 0).toLocaleString()}`))),
      el("details", {class: "small"}, el("summary", null, "The figures"), table("Deliveries by hour", {
        "Hour": (hour) => at(hour.hour), ...Object.fromEntries(OUTCOMES.map((name) => [name, (hour) => hour[name].toLocaleString()])),
      }, hours.filter(sum), "None.")),
    ];
  }

  const orderColumns = {
    "Order": (order) => orderLink(order.source, order.id, order.order_number || order.id),
    "Source": (order) => order.source,
    "Status": (order) => statusWords(order),
    "Boxes": (order) => `${order.boxes_delivered} of ${order.boxes_total}`,
    "Since": (order) => at(order.status_at),
    "Changed here": (order) => at(order.updated_at),
  };

  async function overview() {
    return [el("h1", null, "Overview"), el("div", {class: "cards"}, await Promise.all([
      panel("Deliveries of the last day", async () => chart((await ask("/console/deliveries")).hours), true),
      panel("Latest changes", async () => table("Latest changes", orderColumns,
        (await ask("/orders", {...traffic(), events: "false", limit: "8"})).orders, "Nothing has come yet."), true),
      panel("Health", showHealth),
      panel("Sources", async () => table("Sources", {
        "Source": (row) => row.source, "Newest event": (row) => at(row.newest), "In the last day": (row) => row.last_day.toLocaleString(),
      }, (await ask("/console/sources")).sources, "Nothing has come yet.")),
    ]))];
  }

  async function showHealth() {
    const state = await ask("/readyz");
    return [el("p", null, word(state.status)), facts(Object.entries(state).filter(([name]) => name !== "status")
      .map(([name, value]) => [name.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]))];
  }

  async function healthView() {
    return [el("h1", null, "Health"), await panel("This instance", showHealth)];
  }

  async function find(parameters) {
    const query = parameters.get("q") || "";
    document.getElementById("query").value = query;
    const page = await ask("/orders", {...traffic(), q: query, events: "false", limit: "50"});
    if (page.orders.length === 1) {
      const [order] = page.orders;
      location.replace(`#${orderPath(order.source, order.id)}`);
      return [];
    }
    return [el("h1", null, `Orders for “${query}”`),
      page.orders.length === 0 && el("p", null, `Nothing has this number, reference, tracking number or id${sandbox.checked ? " in the sandbox" : ""}.`),
      page.orders.length > 0 && table("Orders found", orderColumns, page.orders, ""),
      page.has_more && el("p", {class: "quiet"}, "There are more; the newest are shown.")];
  }

  function address(destination) {
    if (!destination) {
      return null;
    }
    const lines = [destination.name, destination.company, destination.street, destination.details,
      [destination.zip, destination.city].filter(Boolean).join(" "), destination.province, destination.country, destination.phone, destination.email];
    return lines.filter(Boolean).join(", ");
  }

  function showBox(box) {
    return el("section", {class: "card"},
      el("h2", null, `Box ${box.tracking_number || box.id} `, word(box.status)),
      facts([
        ["Sender's word", box.provider_status], ["Detail", box.status_detail], ["Since", at(box.status_at)], ["Carrier", box.carrier],
        ["Tracking", box.tracking_url && link(box.tracking_url)], ["Place", box.location],
        ["Expected", box.estimated_delivery_at ? at(box.estimated_delivery_at) : box.estimated_delivery_date],
        ["Next attempt", at(box.next_attempt_at)], ["Shipped", at(box.shipped_at)], ["Delivered", at(box.delivered_at)],
        ["Signed by", box.signed_by], ["Proof", box.proof_of_delivery && link(box.proof_of_delivery)],
        ["Pick up at", box.pickup_point && Object.values(box.pickup_point).filter(Boolean).join(", ")],
        ["Was", [box.was_delayed && "delayed", box.had_failed_attempt && "attempted in vain"].filter(Boolean).join(", ")],
        ["Papers", box.documents.length > 0 && box.documents.map((paper) => [link(paper.url), ` (${paper.kind}) `]).flat()],
        ["Content", box.items.map((item) => `${item.quantity === null ? "" : `${item.quantity} × `}${item.id}`).join(", ")],
      ]),
      el("h3", null, "What happened"),
      box.events.length === 0 ? el("p", {class: "quiet"}, "No event yet.") :
        el("ol", {class: "timeline"}, [...box.events].reverse().map((event) => el("li", null,
          el("strong", null, event.status.replaceAll("_", " ")), event.status_detail ? ` (${event.status_detail.replaceAll("_", " ")})` : "",
          el("br"), at(event.occurred_at), event.location ? `, ${event.location}` : "",
          event.provider_status && [el("br"), el("span", {class: "quiet small"}, event.provider_status)],
          event.message && [el("br"), event.message]))));
  }

  async function order(parameters, source, id) {
    const path = orderPath(source, id);
    const document_ = await ask(path, traffic());
    return [
      el("h1", null, `Order ${document_.order_number || document_.id} `, statusWords(document_)),
      el("div", {class: "cards"},
        el("section", {class: "card"}, el("h2", null, "Order"), facts([
          ["Source", document_.source], ["Id", document_.id], ["Reference", document_.external_reference], ["Sender's word", document_.provider_status],
          ["Since", at(document_.status_at)], ["Boxes", `${document_.boxes_delivered} of ${document_.boxes_total} delivered`],
          ["To be sent", at(document_.send_date)], ["Courier", document_.courier_id], ["Shipped", at(document_.shipped_at)],
          ["Delivered", at(document_.delivered_at)], ["To", address(document_.destination)],
          ["Changed here", at(document_.updated_at)], ["Version", String(document_.version)]])),
        document_.boxes.map(showBox)),
      explanation(path),
    ];
  }

  const WHY = {
    older: "it is older", older_snapshot: "it comes from an older report", not_earliest: "it is not the earliest", lower_rank: "of two at one moment it has the lower rank",
    word: "of two at one moment and of one rank the greater word counts", unknown: "unknown never takes the place of what is known",
    weak: "a weak word counts only while nothing better is known", not_final: "nothing open takes the place of a final status",
    repeated: "it says what was known", taken_from_status: "another webhook says it with its status", delivery_id: "of two alike the greater delivery counts",
    same_webhook: "the same webhook says another thing too", unread: "its webhook cannot be read any more",
  };
  const shownValue = (value) => value === null || value === undefined ? "nothing" : typeof value !== "object" ? String(value) :
    value.status ? [value.status.replaceAll("_", " "), value.provider_status ? ` (${value.provider_status})` : ""].join("") : JSON.stringify(value);
  const webhook = (one) => one === null ? "" : [at(one.at), el("br"), [one.event_type, one.event_id].filter(Boolean).join(", "), el("br"),
    el("code", {class: "small quiet"}, one.delivery)];

  /* Read when it is opened: it takes the order's webhooks out of the ledger again. */
  function explanation(path) {
    const body = el("div");
    const details = el("details", {class: "card"}, el("summary", null, "Why does it say so?"), body);
    details.addEventListener("toggle", async () => {
      if (!details.open || body.childElementCount > 0) {
        return;
      }
      try {
        const told = (await ask(path, {...traffic(), explain: "1"})).explanation;
        body.replaceChildren(el("p", null, `The status: ${told.status_because}. ${told.webhooks} webhooks spoke of this order.`),
          table("Facts", {
            "Box": (fact) => fact.box || "", "Fact": (fact) => fact.fact.replaceAll("_", " "), "Says": (fact) => shownValue(fact.value),
            "Set by": (fact) => webhook(fact.set_by),
            "Lost against it": (fact) => [fact.lost.map((one) => el("p", null, shownValue(one.value), ": ", WHY[one.why] || one.why.replaceAll("_", " "), el("br"), webhook(one))),
              fact.lost_total > fact.lost.length && el("p", null, `and ${fact.lost_total - fact.lost.length} more`)],
          }, told.facts, "No webhook that is kept spoke of it."));
      } catch (failure) {
        body.replaceChildren(el("p", {class: "warn"}, failure.message));
      }
    });
    return details;
  }

  /* Follows the feed: each answer at the top, the newest of an order once. */
  async function changes() {
    const mine = view, rows = new Map();
    const body = el("div");
    let cursor = "latest";
    const show = () => body.replaceChildren(table("Changes", orderColumns, [...rows.values()].reverse().slice(0, 100), "Nothing has changed since you opened this."));
    const follow = async () => {
      try {
        let more = true;
        while (more && mine === view) {
          const page = await ask("/changes", {...traffic(), after: cursor, events: "false", limit: "100"});
          cursor = page.next_cursor;
          more = page.has_more;
          for (const changed of page.orders) {
            const key = `${changed.source}/${changed.id}`;
            rows.delete(key);
            rows.set(key, changed);
          }
          if (page.orders.length > 0) {
            show();
          }
        }
      } catch (failure) {
        say(failure.message);
      }
      if (mine === view) {
        setTimeout(follow, FOLLOW_MS);
      }
    };
    show();
    follow();
    return [el("h1", null, "Changes as they come"), el("section", {class: "card", "aria-live": "off"}, body)];
  }

  async function silent(parameters) {
    const days = /^\d{1,3}$/.test(parameters.get("days") || "") ? parameters.get("days") : "5";
    const form = el("form", {class: "ways"}, el("div", null, el("label", {for: "days"}, "No scan for so many days "),
      el("input", {id: "days", name: "days", type: "number", min: "1", max: "365", value: days, required: true})), el("button", null, "Show"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      location.hash = `#/silent?days=${form.elements.days.value}`;
    });
    return [el("h1", null, "Silent parcels"), form, await panel(`On the way, not heard of for ${days} days`, async () => table("Silent parcels", {
      "Parcel": (row) => orderLink(row.source, row.order_id, row.tracking_number || row.box_id),
      "Order": (row) => row.order_number || row.order_id, "Source": (row) => row.source, "Carrier": (row) => row.carrier || "",
      "Status": (row) => word(row.status), "Last heard of": (row) => at(row.last_event_at), "Place": (row) => row.location || "",
    }, (await ask("/console/silent", {...traffic(), days})).boxes, "None: every parcel on its way was heard of."))];
  }

  async function problems() {
    return [el("h1", null, "Refused and conflicting deliveries"), await panel("Of the last 30 days, newest first", async () => table("Deliveries", {
      "Received": (row) => at(row.received_at), "Source": (row) => row.source,
      "What": (row) => word(row.conflict ? "conflict" : row.outcome), "Event": (row) => [row.event_type || "", el("br"), el("span", {class: "quiet small"}, row.event_id || "")],
      "Why": (row) => row.detail || (row.conflict ? "another delivery has this event id and other content" : ""),
      "Delivery": (row) => el("code", {class: "small"}, row.delivery),
    }, (await ask("/console/problems")).deliveries, "None."))];
  }

  async function gaps() {
    return [el("h1", null, "Suspected gaps"), el("p", null,
      "Events whose sender names a previous value that no stored event produced: something on the way here was missed."),
    await panel("Of the last 30 days, newest first", async () => table("Suspected gaps", {
      "Order": (row) => orderLink(row.source, row.order_id), "Source": (row) => row.source, "Box": (row) => row.box_id || "",
      "What": (row) => row.field, "When": (row) => at(row.occurred_at), "Expected before": (row) => row.expected_previous,
      "Found before": (row) => row.found_previous || "",
    }, (await ask("/console/gaps", traffic())).gaps, "None."))];
  }

  /* ---- where we are ---- */

  const VIEWS = [
    [/^\/$/, overview], [/^\/health$/, healthView], [/^\/find$/, find], [/^\/orders\/([^/]+)\/([^/]+)$/, order], [/^\/changes$/, changes],
    [/^\/silent$/, silent], [/^\/problems$/, problems], [/^\/gaps$/, gaps],
  ];

  function showControls(shown) {
    for (const id of ["search", "traffic", "views"]) {
      document.getElementById(id).hidden = !shown;
    }
    document.getElementById("leave").hidden = !sessionStorage.getItem(TOKEN);
    health.hidden = !shown;
  }

  function signIn(failure) {
    sessionStorage.removeItem(TOKEN);
    showControls(false);
    main.replaceChildren(document.getElementById("sign-in").content.cloneNode(true));
    const form = document.getElementById("token-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, form.elements.token.value.trim());
      show();
    });
    form.elements.token.focus();
    if (failure) {
      say(failure);
    }
  }

  async function show() {
    const mine = ++view;
    const [path, query] = (location.hash.slice(1) || "/").split("?");
    const parameters = new URLSearchParams(query || "");
    const found = VIEWS.map(([pattern, make]) => [pattern.exec(path), make]).find(([match]) => match);
    for (const anchor of document.querySelectorAll("#views a")) {
      anchor.getAttribute("href") === `#${path}` ? anchor.setAttribute("aria-current", "page") : anchor.removeAttribute("aria-current");
    }
    try {
      main.setAttribute("aria-busy", "true");
      const made = found ? await found[1](parameters, ...found[0].slice(1).map(decodeURIComponent)) : [el("h1", null, "There is no such page.")];
      if (mine === view && made.length > 0) {
        main.replaceChildren(...made.filter(Boolean));
        const title = main.querySelector("h1");
        document.title = `${title ? `${title.textContent.trim()} · ` : ""}waybill console`;
        showControls(true);
      }
    } catch (failure) {
      if (mine !== view) {
        return;
      }
      if (failure instanceof Refused) {
        signIn(sessionStorage.getItem(TOKEN) ? failure.message : "");
        return;
      }
      main.replaceChildren(el("h1", null, failure instanceof Missing ? "Not found" : "That did not work"), el("p", null, failure.message));
      showControls(true);
    } finally {
      main.removeAttribute("aria-busy");
    }
  }

  async function watchHealth() {
    if (!document.getElementById("views").hidden && !document.hidden) {
      const state = await ask("/readyz").catch(() => ({status: "unavailable"}));
      health.replaceChildren(word(state.status));
    }
  }

  window.addEventListener("hashchange", async () => {
    await show();
    main.focus({preventScroll: true});
    window.scrollTo(0, 0);
  });
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `#/find?${new URLSearchParams({q: event.target.elements.query.value.trim()})}`;
  });
  sandbox.addEventListener("change", show);
  document.getElementById("leave").addEventListener("click", () => signIn(""));
  show().then(watchHealth);
  setInterval(watchHealth, HEALTH_MS);
})();
