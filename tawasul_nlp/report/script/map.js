// Where cases are: regions with their blocks, and the towns as they lie, by their coordinates in the gazetteer.
const FROM_WEST = ["northern", "capital", "muharraq", "southern"];
const MOST_BLOCKS = 60, LEAST_TOWNS = 8, NAMED_TOWNS = 16;

const townFirst = (block) => data.names.block[block][0].split("، ").reverse().join(" ");
const governorateOf = new Map();
column.block.forEach((block, row) => { if (block >= 0) governorateOf.set(block, column.governorate[row]); });

function drawRegions(counts) {
  const blocks = ranked(counts.block).filter((one) => one.code >= 0).slice(0, MOST_BLOCKS);
  const most = blocks.length ? blocks[0].cases : 1;
  const place = at("map");
  place.replaceChildren();
  // As on a map, from west to east, or as the country lists them.
  const order = data.regions.every((id) => FROM_WEST.includes(id)) ? FROM_WEST : data.regions;
  place.classList.toggle("from-west", order === FROM_WEST);
  const rank = ({ code }) => code < 0 ? order.length + 1 : (order.indexOf(data.names.governorate[code][0]) + order.length + 1) % (order.length + 1);
  for (const { code, cases } of ranked(counts.governorate).sort((a, b) => rank(a) - rank(b))) {
    const region = element("div", "region");
    region.dataset.id = code < 0 ? "unknown" : data.names.governorate[code][0];
    const head = chooser("", "governorate", code);
    head.textContent = `${name("governorate", code)} · ${number(cases)}`;
    region.append(head);
    const own = blocks.filter((one) => governorateOf.get(one.code) === code);
    const grid = element("div", data.blocksWithinTowns ? "blocks named" : "blocks");
    own.sort((a, b) => townFirst(a.code).localeCompare(townFirst(b.code), "ar", { numeric: true }));
    for (const block of own) {
      const tile = chooser(`block h${Math.min(5, 1 + Math.floor(5 * block.cases / (most + 1)))}`, "block", block.code);
      tile.title = `${name("block", block.code)}: ${number(block.cases)}`;
      const label = element("span", "", data.names.block[block.code][isArabic() ? 1 : 2]);
      label.dir = "auto";
      tile.append(label, element("b", "", number(block.cases)));
      grid.append(tile);
    }
    if (own.length) region.append(grid);
    place.append(region);
  }
  at("map-note").textContent = word(data.hasBlocks && has.block ? "mapNote" : "governorateNote");
}

// North is up and east is right in both languages. Towns can be chosen with the keyboard by their bars beside.
function drawTowns(counts, wide) {
  const place = at("towns");
  place.replaceChildren();
  const towns = ranked(counts.town).filter((one) => data.townsAt[one.code]);
  if (Object.keys(data.townsAt).length < LEAST_TOWNS || !towns.length) return;
  const every = Object.values(data.townsAt);
  const [south, north] = [Math.min(...every.map((one) => one[0])), Math.max(...every.map((one) => one[0]))];
  const [west, east] = [Math.min(...every.map((one) => one[1])), Math.max(...every.map((one) => one[1]))];
  // A degree of longitude is shorter than one of latitude by the cosine of the latitude.
  const narrow = Math.cos((north + south) * Math.PI / 360);
  const edge = 46, width = Math.max(280, wide), height = 380;
  const scale = Math.min((width - 2 * edge) / Math.max((east - west) * narrow, 1e-9), (height - 2 * edge) / Math.max(north - south, 1e-9));
  const middle = (width - (east - west) * narrow * scale) / 2;
  const x = (longitude) => middle + (longitude - west) * narrow * scale, y = (latitude) => edge + (north - latitude) * scale;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": word("byTown") });
  for (const [code, [latitude, longitude]] of Object.entries(data.townsAt)) {
    if (!counts.town.all[Number(code) + 1]) svg.append(drawn("circle", { class: "empty", cx: x(longitude), cy: y(latitude), r: 2 }));
  }
  const labels = [];
  towns.forEach(({ code, cases }, rank) => {
    const [latitude, longitude] = data.townsAt[code], r = 3 + 17 * Math.sqrt(cases / towns[0].cases);
    const circle = drawn("circle", { class: state.chosen.town === code ? "town chosen" : "town", cx: x(longitude), cy: y(latitude), r });
    const tip = drawn("title", {});
    tip.textContent = `${name("town", code)}: ${number(cases)}`;
    circle.append(tip);
    circle.addEventListener("click", () => choose("town", code));
    svg.append(circle);
    const label = { text: name("town", code), x: x(longitude), y: y(latitude) - r - 3 };
    label.wide = label.text.length * 3.4 + 3;
    const free = labels.every((other) => Math.abs(other.y - label.y) > 13 || Math.abs(other.x - label.x) > other.wide + label.wide);
    if (rank < NAMED_TOWNS && free) labels.push(label);
  });
  for (const label of labels) {
    const mark = drawn("text", { x: label.x, y: label.y, "text-anchor": "middle" });
    mark.textContent = label.text;
    svg.append(mark);
  }
  place.append(svg);
}
