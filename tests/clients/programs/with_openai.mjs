// The `openai` package of npm: chat, responses, completions, tools, streams, errors, retries and time-outs.
import OpenAI from 'openai';

const { GATEWAY_URL, GATEWAY_KEY, ECHO_MODELS, TOOL_MODELS, LOCAL_MODEL } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });
const DEGREES = { Zürich: '18 degrees', 上海: '31 degrees' };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } };
const ask = (content) => [{ role: 'user', content }];
const things = {};

async function joined(stream, textOf) {
  const parts = [];
  for await (const part of stream) parts.push(textOf(part) ?? '');
  return [parts.join('').trim(), parts.filter(Boolean).length > 1];
}

async function failure(promise) {
  try {
    await promise;
    return 'nothing';
  } catch (error) {
    return [error.constructor.name, error.status ?? null, error.code ?? null];
  }
}

for (const model of JSON.parse(ECHO_MODELS)) {
  things[`chat ${model}`] = async () => {
    const made = await client.chat.completions.create({ model, messages: ask('four words of text') });
    return [made.choices[0].message.content, made.usage.cost];
  };
  things[`chat stream ${model}`] = async () =>
    joined(
      await client.chat.completions.create({ model, messages: ask('alpha beta gamma'), stream: true }),
      (chunk) => chunk.choices[0]?.delta.content,
    );
  things[`responses ${model}`] = async () => {
    const made = await client.responses.create({ model, input: 'four words of text' });
    return [made.output_text, made.usage.cost];
  };
  things[`responses stream ${model}`] = async () => {
    const stream = client.responses.stream({ model, input: 'alpha beta gamma' });
    const told = await joined(stream, (event) => (event.type === 'response.output_text.delta' ? event.delta : ''));
    return [...told, (await stream.finalResponse()).output_text.trim()];
  };
  things[`structured ${model}`] = async () => {
    const schema = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'], additionalProperties: false };
    const text = { format: { type: 'json_schema', name: 'person', schema, strict: true } };
    const made = await client.responses.parse({ model, input: '{"age":7}', text });
    return made.output_parsed;
  };
  things[`completions ${model}`] = async () => {
    const made = await client.completions.create({ model, prompt: 'three words here' });
    const stream = await client.completions.create({ model, prompt: 'one two', stream: true });
    return [made.choices[0].text, (await joined(stream, (chunk) => chunk.choices[0]?.text))[0]];
  };
}

for (const model of JSON.parse(TOOL_MODELS)) {
  things[`tools ${model}`] = async () => {
    const called = [];
    const weather = {
      name: 'weather',
      description: 'The weather of a city',
      parameters: PARAMETERS,
      parse: JSON.parse,
      function: ({ city }) => {
        called.push(city);
        return DEGREES[city];
      },
    };
    const tools = [{ type: 'function', function: weather }];
    const runner = client.chat.completions.runTools({ model, messages: ask('Which is warmer?'), tools, stream: true });
    return [(await runner.finalContent()).trim(), called];
  };
  things[`responses tools ${model}`] = async () => {
    const tools = [{ type: 'function', name: 'weather', parameters: PARAMETERS, strict: false }];
    const input = ask('Which is warmer?');
    const first = await client.responses.stream({ model, input, tools }).finalResponse();
    const calls = first.output.filter((item) => item.type === 'function_call');
    const results = calls.map((call) => ({
      type: 'function_call_output',
      call_id: call.call_id,
      output: DEGREES[JSON.parse(call.arguments).city],
    }));
    const made = await client.responses.create({ model, tools, input: [...input, ...first.output, ...results] });
    return [made.output_text.trim(), calls.map((call) => JSON.parse(call.arguments).city)];
  };
}

things['no such model'] = () => failure(client.responses.create({ model: 'no-such-model', input: 'hi' }));
things['previous response'] = () =>
  failure(client.responses.create({ model: 'fake-echo', input: 'hi', previous_response_id: 'resp_1' }));
things['broken stream'] = () =>
  failure(client.responses.create({ model: 'fake-no-done', input: 'one two', stream: true }).then((s) => joined(s, () => '')));
things['broken chat stream'] = () =>
  failure(
    client.chat.completions
      .create({ model: 'fake-no-done', messages: ask('one two'), stream: true })
      .then((s) => joined(s, () => '')),
  );
things['time-out'] = () =>
  failure(client.responses.create({ model: 'fake-slow', input: 'one two three four five six' }, { timeout: 100 }));
things.retries = () =>
  failure(
    client.responses.create(
      { model: 'fake-slow', input: 'a retry from the other side of the world' },
      { timeout: 100, maxRetries: 1 },
    ),
  );
things.local = async () => {
  const made = await client.responses.create({ model: LOCAL_MODEL, input: 'Say hello.', max_output_tokens: 8 });
  return made.output_text;
};

const told = {};
for (const [name, act] of Object.entries(things)) {
  told[name] = await act().catch((error) => ({ failed: String(error.stack) }));
}
process.stdout.write(JSON.stringify(told));
