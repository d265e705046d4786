// What is shared: WeChat's script is there only where the account is a real one.
"use strict";

const status = document.querySelector("#shared");
if (window.wx) {
  wx.config(JSON.parse(document.querySelector("#config").textContent));
  wx.error(problem => { status.textContent = status.dataset.refused + problem.errMsg; });
  wx.ready(() => {
    const shared = {title: status.dataset.title, desc: location.hostname, link: location.href, imgUrl: `${location.origin}/static/icon.svg`};
    wx.updateAppMessageShareData(shared);
    wx.updateTimelineShareData(shared);
    status.textContent = status.dataset.ready;
  });
}
