"use strict";
(function () {
  var tab = sessionStorage.tab || (sessionStorage.tab = unique()), been = JSON.parse(sessionStorage.been || "[]");
  var shown = null, sounds = {}, busy = false, revisited = false;
  var at = function (id) { return document.getElementById(id); };
  var token = { "X-Stentor-Token": document.querySelector("meta[name=token]").content };
  var choices = Array.from(document.querySelectorAll("[data-choice]"));

  function unique() { return Array.from(crypto.getRandomValues(new Uint32Array(3)), String).join("-"); }
  function say(text, bad) { at("status").textContent = text; at("status").classList.toggle("bad", !!bad); }
  function later(seconds) { return new Promise(function (done) { setTimeout(done, 1000 * seconds); }); }

  // An answer, however long the server is away; what it refuses is an Error.
  async function ask(path, body) {
    var options = { headers: Object.assign({ "Content-Type": "application/json" }, token) };
    if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    for (var tries = 0; ; tries++) {
      try { var answer = await fetch(path, options); }
      catch (error) {
        say("The server does not answer. " + (body ? "Your vote is kept here and sent when it is back." : "Waiting for it."), true);
        await later(1);
        continue;
      }
      var told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
      if (tries) say("The server is back." + (body ? " Your vote is saved." : ""));
      return told;
    }
  }

  function count(progress) {
    at("bar").max = progress.pairs; at("bar").value = progress.voted;
    at("count").textContent = progress.voted + " of " + progress.pairs + " pairs have a vote";
    at("sum").textContent = (progress.a + progress.b) + " preferences, " + progress.tie + " without a difference, " + progress.skip + " skipped.";
  }

  function part(item, label) {
    if (item.sound === undefined) {
      var text = document.createElement("p");
      text.textContent = item.text || "(nothing was said)";
      return text;
    }
    var player = document.createElement("audio"), pair = shown.id;
    player.controls = true;
    player.setAttribute("aria-label", label);
    sounds[item.sound] = player;
    fetch("/sound/" + encodeURIComponent(pair) + "/" + item.sound, { headers: token }).then(async function (answer) {
      if (!answer.ok) throw new Error((await answer.json()).error);
      player.src = URL.createObjectURL(await answer.blob());
    }).catch(function (error) { say(label + " cannot be played: " + error.message, true); });
    return player;
  }

  function show(told, again) {
    Object.values(sounds).forEach(function (player) { player.pause(); URL.revokeObjectURL(player.src); });
    sounds = {}; shown = told.pair; revisited = !!again;
    count(told.progress);
    at("question").hidden = !shown; at("done").hidden = !!shown; at("hint").hidden = !shown;
    at("back").disabled = at("back-done").disabled = !been.length;
    choices.forEach(function (button) {
      button.setAttribute("aria-pressed", String(!!told.vote && told.vote.choice === button.dataset.choice));
    });
    if (!shown) { at("title").focus(); return; }
    var asked = [];
    shown.prompt.forEach(function (item) {
      var title = document.createElement("h2");
      title.textContent = item.label;
      asked.push(title, part(item, item.label));
    });
    at("prompt").replaceChildren.apply(at("prompt"), asked);
    at("a").replaceChildren(part(shown.a, "Response A"));
    at("b").replaceChildren(part(shown.b, "Response B"));
    at("title").focus({ preventScroll: true });
  }

  async function work(act) {
    if (busy) return;
    busy = true; choices.forEach(function (button) { button.disabled = true; });
    try { await act(); } catch (error) { say(error.message, true); }
    busy = false; choices.forEach(function (button) { button.disabled = false; });
  }

  async function next(words) {
    var told = await ask("/next?tab=" + encodeURIComponent(tab));
    show(told);
    say(words || "");
  }

  function vote(choice) {
    if (!shown) return;
    var pair = shown.id, words = { a: "A is better", b: "B is better", tie: "no difference", skip: "skipped" }[choice];
    work(async function () {
      await ask("/vote", { pair: pair, choice: choice, tab: tab, ballot: unique() });
      been.push(pair); sessionStorage.been = JSON.stringify(been);
      await next("Saved: " + words + ".");
    });
  }

  function back() {
    work(async function () {
      var pair = been.pop();
      if (!pair) { say("There is nothing to go back to."); return; }
      sessionStorage.been = JSON.stringify(been);
      show(await ask("/pair?tab=" + encodeURIComponent(tab) + "&pair=" + encodeURIComponent(pair)), true);
      say("Your last pair again; another vote takes the place of the first.");
    });
  }

  function play(name) {
    var player = sounds[name];
    if (!player) return;
    var still = player.paused;
    Object.values(sounds).forEach(function (other) { other.pause(); });
    if (still) { player.currentTime = 0; player.play(); }
  }

  // What another tab has voted on meanwhile is not asked here again.
  async function look() {
    if (busy || !shown) return;
    var pair = shown.id, told;
    try { told = await (await fetch("/state?pair=" + encodeURIComponent(pair), { headers: token })).json(); } catch (error) { return; }
    if (busy || !shown || shown.id !== pair || !told.progress) return;
    count(told.progress);
    if (told.vote && !revisited) work(function () { return next("Another tab has voted on that pair already."); });
  }

  choices.forEach(function (button) { button.addEventListener("click", function () { vote(button.dataset.choice); }); });
  at("back").addEventListener("click", back);
  at("back-done").addEventListener("click", back);
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    var key = event.key.toLowerCase(), votes = { a: "a", b: "b", t: "tie", s: "skip" };
    if (votes[key]) vote(votes[key]);
    else if (key === "z") back();
    else if (key === "1" || key === "2") play(key === "1" ? "a" : "b");
    else if (key === "0") play(sounds.prompt ? "prompt" : "voice");
    else return;
    event.preventDefault();
  });
  setInterval(look, 2000);
  window.addEventListener("focus", look);
  work(next);
})();
