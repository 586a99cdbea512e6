document.querySelectorAll(".sound").forEach(function (card) {
  var sound = card.querySelector("audio"), stage = card.querySelector(".stage");
  if (!sound || !stage) return;
  var seconds = parseFloat(stage.dataset.seconds), cursor = stage.querySelector(".cursor");
  function draw() {
    cursor.style.left = (100 * sound.currentTime / seconds) + "%";
    if (!sound.paused) requestAnimationFrame(draw);
  }
  ["play", "seeked", "timeupdate"].forEach(function (name) { sound.addEventListener(name, draw); });
  stage.addEventListener("click", function (event) {
    var box = stage.getBoundingClientRect();
    sound.currentTime = seconds * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    sound.play();
  });
});
