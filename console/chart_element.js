// Applies new series of charts that arrive with the update of a page's elements.
export default {
  template: "<span hidden></span>",
  props: { series: Object },
  mounted() {
    document.querySelector(".before-scripts")?.remove(); // what was painted before the page was drawn
  },
  methods: {
    apply() {
      for (const [id, series] of Object.entries(this.series)) setSeries(id, series);
    },
  },
};

// A chart draws itself some time after its element exists; one that has been deleted needs no figures.
function setSeries(id, series) {
  const element = getElement(id);
  if (!element) return;
  if (element.chart) element.chart.setOption({ series });
  else setTimeout(() => setSeries(id, series), 10);
}
