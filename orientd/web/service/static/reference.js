// The description of the service as a page, made of openapi.json alone.

const find = (name) => document.querySelector(name);

function made(tag, text = "", ...inside) {
  const element = document.createElement(tag);
  element.append(...(text ? [text] : []), ...inside);
  return element;
}

function classed(name, element) {
  element.className = name;
  return element;
}

const last = (reference) => reference.split("/").pop();
const kindOf = (schema) => {
  if (schema.$ref) return last(schema.$ref);
  if (schema.anyOf) return [...new Set(schema.anyOf.map(kindOf))].join(" or ");
  if (schema.enum) return schema.enum.map(String).join(", ");
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  return [schema.type].flat().filter(Boolean).join(" or ");
};

function table(rows, about) {
  const body = made("tbody");
  for (const [name, ...cells] of rows) {
    const row = made("tr", "", made("th", "", made("code", name)));
    row.firstChild.scope = "row";
    row.append(...cells.map((cell) => made("td", cell)));
    body.append(row);
  }
  const found = made("table", "", body);
  found.setAttribute("aria-label", about);
  return found;
}

function operation(method, path, told) {
  const title = made("h2", "", classed(`method ${method}`, made("span", method.toUpperCase())), made("code", path));
  const section = made("section", "", title, made("p", `${told.summary}.`));
  if (told.description) section.append(classed("soft", made("p", told.description)));
  section.append(made("h3", "Example"), made("pre", told["x-example"].replaceAll("http://127.0.0.1:8765", location.origin)));
  if (told.parameters?.length) section.append(made("h3", "In the address"), table(told.parameters.map((one) => [`${one.name}=${one.schema.enum.join("|")}`, one.description]), "In the address"));
  if (told.requestBody) section.append(made("h3", "What is sent"), classed("soft", made("p", told.requestBody.description)), table(Object.keys(told.requestBody.content).map((type) => [type, ""]), "What is sent"));
  section.append(made("h3", "Answers"), table(Object.entries(told.responses).map(([status, one]) => [status, kinds(one), one.description]), "Answers"));
  const headers = Object.entries(told.responses["200"].headers || {});
  if (headers.length) section.append(made("h3", "Beside a picture"), table(headers.map(([name, one]) => [name, one.description]), "Headers"));
  return section;
}

const kinds = (response) => Object.entries(response.content).map(([type, one]) => (one.schema.$ref ? last(one.schema.$ref) : type)).join(", ");

function shape(name, schema) {
  const rows = Object.entries(schema.properties || {}).map(([field, one]) => [field, kindOf(one), one.description || ""]);
  const inside = schema.enum ? made("p", "", made("code", schema.enum.join(", "))) : table(rows, name);
  return made("details", "", made("summary", name), classed("soft", made("p", schema.description)), inside);
}

const told = await (await fetch("/openapi.json")).json();
find("#version").textContent = told.info.version;
find("#about").textContent = `${told.info.summary} ${told.info.description} ${told.components.securitySchemes.token.description}`;
for (const [path, methods] of Object.entries(told.paths)) for (const [method, one] of Object.entries(methods)) find("#operations").append(operation(method, path, one));
for (const [name, schema] of Object.entries(told.components.schemas)) find("#shapes").append(shape(name, schema));
document.body.dataset.ready = "yes";
