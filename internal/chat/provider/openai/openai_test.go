package openai_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/chat/provider/openai"
	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
	"github.com/roomcast/roomcast/internal/eventually"
)

const key = "sk-KEY-OF-THE-TEST"

// prompt is what must not be in any error.
const prompt = "PROMPT: Say something"

type step = providertest.Step

// start returns an endpoint and a provider that asks it, impatiently.
func start(t testing.TB, change func(*openai.Options)) (*providertest.Server, *openai.Provider) {
	t.Helper()
	endpoint := providertest.New()
	server := httptest.NewUnstartedServer(endpoint)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(endpoint.Close)
	o := openai.Options{URL: server.URL + "/v1", Key: key, Retries: 2, FirstWait: time.Millisecond}
	if change != nil {
		change(&o)
	}
	p, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return endpoint, p
}

func request() provider.Request {
	return provider.Request{Model: "m", Messages: []provider.Message{{Role: provider.User, Text: prompt}}}
}

func stream(t testing.TB, p provider.Provider, r provider.Request) (provider.Response, error) {
	t.Helper()
	var text strings.Builder
	answer, err := p.Stream(t.Context(), r, func(s string) error {
		text.WriteString(s)
		return nil
	})
	if answer.Text != text.String() {
		t.Errorf("streamed %q, answered %q", text.String(), answer.Text)
	}
	if err != nil {
		e, ok := errors.AsType[*provider.Error](err)
		if !ok || e.Text == "" || e.Kind == "" || answer.Finish != "" || answer.ToolCalls != nil {
			t.Errorf("%+v, %#v", answer, err)
		}
		for _, secret := range []string{key, prompt, providertest.Secret, "127.0.0.1", "<html"} {
			if strings.Contains(err.Error(), secret) || secret != "127.0.0.1" && strings.Contains(fmt.Sprint(e.Cause), secret) {
				t.Errorf("the error shows %q: %v (%v)", secret, err, e.Cause)
			}
		}
	}
	return answer, err
}

func TestContract(t *testing.T) {
	_, p := start(t, nil)
	providertest.Contract(t, p, "test-model")
}

func TestRequest(t *testing.T) {
	endpoint, p := start(t, func(o *openai.Options) {
		o.Organization, o.Headers = "org", []openai.Header{{Name: "X-Title", Value: "roomcast"}}
	})
	cold := 0.0
	r := provider.Request{
		Model: "m", System: "S", MaxTokens: 9, Temperature: &cold, User: "u",
		Messages: []provider.Message{
			{Role: provider.User, Text: "Q"},
			{Role: provider.Assistant, ToolCalls: []provider.ToolCall{{ID: "1", Name: "clock", Arguments: []byte(`{"a": 1}`)}}},
			{Role: provider.ToolRole, ToolCallID: "1"},
		},
		Tools: []provider.Tool{{Name: "clock", Description: "D"}, {Name: "find", Parameters: []byte(`{"type":"object","title":"T"}`)}},
	}
	if _, err := stream(t, p, r); err != nil {
		t.Fatal(err)
	}
	got := endpoint.Requests()[0]
	for name, want := range map[string]string{"Authorization": "Bearer " + key, "OpenAI-Organization": "org", "X-Title": "roomcast", "User-Agent": "roomcast", "Accept-Encoding": ""} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s is %q", name, v)
		}
	}
	const want = `{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},` +
		`{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"clock","arguments":"{\"a\": 1}"}}]},` +
		`{"role":"tool","content":"(empty)","tool_call_id":"1"}],"max_tokens":9,"temperature":1e-45,"stream":true,"user":"u",` +
		`"tools":[{"function":{"name":"clock","description":"D","parameters":{"type":"object","properties":{}}},"type":"function"},` +
		`{"function":{"name":"find","parameters":{"type":"object","title":"T"}},"type":"function"}],"stream_options":{"include_usage":true}}`
	if got.Path != "/v1/chat/completions" || string(got.Body) != want {
		t.Errorf("%s got\n%s\nwant\n%s", got.Path, got.Body, want)
	}
	// New models want the limit under another name.
	if _, err := stream(t, p, provider.Request{Model: "gpt-5", MaxTokens: 9, Messages: r.Messages[:1]}); err != nil {
		t.Error(err)
	}
	if body := string(endpoint.Requests()[1].Body); !strings.Contains(body, `"max_completion_tokens":9`) || strings.Contains(body, `"max_tokens"`) {
		t.Error(body)
	}
	hot := 1.5
	if _, err := stream(t, p, provider.Request{Model: "gpt-5", Temperature: &hot, Messages: r.Messages[:1]}); kind(err) != provider.BadRequest {
		t.Error(err)
	}
}

func kind(err error) provider.Kind {
	if e, ok := errors.AsType[*provider.Error](err); ok {
		return e.Kind
	}
	return ""
}

func index(i int) *int { return &i }

// Tool calls come in pieces, however they are cut.
func TestToolCalls(t *testing.T) {
	t.Parallel()
	type call struct {
		Index               *int
		ID, Name, Arguments string
	}
	const a, b = `1 clock {"zone": "ü"}`, `2 find {"a":[1,{"b":"}"}]}`
	for name, tt := range map[string]struct {
		pieces []call
		want   string
	}{
		"whole":                {[]call{{index(0), "1", "clock", `{"zone": "ü"}`}}, a},
		"in pieces":            {[]call{{index(0), "1", "cl", ""}, {index(0), "", "ock", `{"zo`}, {index(0), "", "", `ne": "ü`}, {index(0), "", "", `"}`}}, a},
		"name first":           {[]call{{index(0), "", "clock", ""}, {index(0), "1", "", `{"zone": "ü"}`}}, a},
		"everything repeated":  {[]call{{index(0), "1", "clock", `{"zone"`}, {index(0), "1", "clock", `: "ü"}`}}, a},
		"two, mixed":           {[]call{{index(0), "1", "clock", `{"zone"`}, {index(1), "2", "find", `{"a":[1,`}, {index(0), "", "", `: "ü"}`}, {index(1), "", "", `{"b":"}"}]}`}}, a + "|" + b},
		"with gaps, backward":  {[]call{{index(7), "2", "find", `{"a":[1,{"b":"}"}]}`}, {index(3), "1", "clock", `{"zone": "ü"}`}}, a + "|" + b},
		"all of index 0":       {[]call{{index(0), "1", "clock", `{"zone"`}, {index(0), "", "", `: "ü"}`}, {index(0), "2", "find", `{"a":[1,{"b":"}"}]}`}}, a + "|" + b},
		"without index":        {[]call{{nil, "1", "clock", `{"zone"`}, {nil, "", "", `: "ü"}`}, {nil, "2", "find", `{"a":[1,{"b":"}"}]}`}}, a + "|" + b},
		"neither index nor id": {[]call{{nil, "", "x", `{}`}, {nil, "", "x", `{}`}}, "call_0 x {}|call_1 x {}"},
		"an id that is ours":   {[]call{{index(0), "call_1", "x", `{}`}, {index(1), "", "x", `{}`}}, "call_1 x {}|call_2 x {}"},
		"the same id twice":    {[]call{{index(0), "1", "x", `{}`}, {index(1), "1", "x", `{}`}}, "1 x {}|call_1 x {}"},
		"no arguments":         {[]call{{index(0), "1", "x", ""}, {index(1), "2", "x", "null"}}, "1 x {}|2 x {}"},
	} {
		endpoint, p := start(t, nil)
		steps := []step{{Text: "Let me see."}}
		for _, c := range tt.pieces {
			piece := providertest.Call(c)
			steps = append(steps, step{Call: &piece})
		}
		for _, finish := range []string{"tool_calls", "stop", "function_call"} { // not every server says what it is
			endpoint.On("", providertest.Stream(append(steps, step{Finish: finish}, step{Done: true})...))
			answer, err := stream(t, p, request())
			var got []string
			for _, c := range answer.ToolCalls {
				got = append(got, fmt.Sprintf("%s %s %s", c.ID, c.Name, c.Arguments))
			}
			if err != nil || strings.Join(got, "|") != tt.want || answer.Finish != provider.ToolCalls || answer.Text != "Let me see." {
				t.Errorf("%s, %s: %q %+v %v", name, finish, got, answer, err)
			}
		}
	}
}

func TestToolCallsThatCannotBe(t *testing.T) {
	endpoint, p := start(t, nil)
	for name, call := range map[string]providertest.Call{
		"half an object": {Name: "x", Arguments: `{"a":`},
		"a list":         {Name: "x", Arguments: `[]`},
		"no name":        {ID: "1", Arguments: `{"a":1}`},
	} {
		endpoint.On("", providertest.Stream(step{Call: &call}, step{Finish: "tool_calls"}, step{Done: true}))
		answer, err := stream(t, p, request())
		if err != nil || len(answer.ToolCalls) != 1 || !answer.ToolCalls[0].Broken || string(answer.ToolCalls[0].Arguments) != "{}" || answer.ToolCalls[0].Name == "" {
			t.Errorf("%s: %+v %v", name, answer, err)
		}
	}
	endpoint.On("", providertest.Stream(step{Raw: tooMany()}, step{Finish: "tool_calls"}, step{Done: true}))
	if _, err := stream(t, p, request()); kind(err) != provider.Malformed {
		t.Errorf("too many: %v", err)
	}
	endpoint.On("", providertest.Stream(
		step{Call: &providertest.Call{Index: index(0), ID: "1", Name: "x"}}, step{Call: &providertest.Call{Index: index(1), ID: "2", Name: "x", Arguments: `{"a":`}},
		step{Finish: "length"}, step{Done: true},
	))
	if answer, err := stream(t, p, request()); err != nil || answer.Finish != provider.Length || len(answer.ToolCalls) != 1 {
		t.Errorf("cut short: %+v %v", answer, err)
	}
	endpoint.On("", providertest.Stream(step{Text: "x"}, step{Finish: "tool_calls"}, step{Done: true}))
	if answer, err := stream(t, p, request()); err != nil || answer.Finish != provider.Stop {
		t.Errorf("no calls: %+v %v", answer, err)
	}
	endpoint.On("", providertest.Stream(step{Raw: `data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"x","arguments":{"a":1}}},{"function":{"name":"y","arguments":null}}]},"finish_reason":"tool_calls"}]}` + "\n\n"}))
	if answer, err := stream(t, p, request()); err != nil || len(answer.ToolCalls) != 1 && string(answer.ToolCalls[0].Arguments) != `{"a":1}` {
		t.Errorf("arguments as an object: %+v %v", answer, err)
	}
}

func tooMany() string {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, `data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"function":{"name":"x"}}]}}]}`+"\n\n", i)
	}
	return b.String()
}

// Streams that are unusual, and good.
func TestStreams(t *testing.T) {
	t.Parallel()
	done := []step{{Finish: "stop"}, {Done: true}}
	for name, tt := range map[string]struct {
		steps []step
		want  string
		usage provider.Usage
	}{
		"comments and other fields": {append([]step{{Raw: ": thinking\n\n"}, {Raw: "event: message\nid: 7\nretry: 10\n"}, {Text: "a"}, {Raw: "\r\n: x\r\n"}, {Text: "b"}}, done...), "ab", provider.Usage{}},
		"without [DONE]":            {[]step{{Text: "a"}, {Finish: "stop"}}, "a", provider.Usage{}},
		"no line end at the end":    {[]step{{Raw: `data:{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}`}}, "a", provider.Usage{}},
		"stalled after the finish":  {[]step{{Text: "a"}, {Finish: "stop"}, {Stall: true}}, "a", provider.Usage{}},
		"stalled after [DONE]":      {[]step{{Text: "a"}, {Finish: "stop"}, {Done: true}, {Stall: true}}, "a", provider.Usage{}},
		"cut after the finish":      {[]step{{Text: "a"}, {Finish: "stop"}, {Cut: true}}, "a", provider.Usage{}},
		"usage with the finish":     {[]step{{Raw: `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}` + "\n\n"}, {Done: true}}, "a", provider.Usage{Prompt: 3, Completion: 1}},
		"usage beyond all bounds":   {[]step{{Raw: `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}}` + "\n\n"}, {Done: true}}, "a", provider.Usage{}},
		"nulls and unknown fields":  {append([]step{{Raw: `data: {"choices":[{"delta":{"role":"assistant","content":null,"refusal":null,"tool_calls":null,"x":[]}}],"usage":null,"error":null}` + "\n\n"}, {Text: "a"}}, done...), "a", provider.Usage{}},
		"no choices":                {append([]step{{Raw: `data: {"choices":[],"prompt_filter_results":[]}` + "\n\n" + `data: {}` + "\n\n"}, {Text: "a"}}, done...), "a", provider.Usage{}},
		"another choice":            {append([]step{{Raw: `data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}` + "\n\n"}, {Text: "a"}}, done...), "a", provider.Usage{}},
		"not UTF-8, and NUL":        {append([]step{{Raw: "data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\\u0000\\ud800\"}}]}\n\n"}}, done...), "a\uFFFD\uFFFD", provider.Usage{}},
		"thoughts":                  {append([]step{{Raw: `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}` + "\n\n"}, {Text: "a"}}, done...), "a", provider.Usage{}},
		"a refusal":                 {append([]step{{Raw: `data: {"choices":[{"delta":{"refusal":"No."}}]}` + "\n\n"}}, done...), "No.", provider.Usage{}},
		"nothing":                   {done, "", provider.Usage{}},
	} {
		endpoint, p := start(t, func(o *openai.Options) {
			if strings.HasPrefix(name, "stalled") { // the others have time, on a busy machine
				o.TokenTimeout = 500 * time.Millisecond
			}
		})
		endpoint.On("", providertest.Stream(tt.steps...))
		answer, err := stream(t, p, request())
		if err != nil || answer.Text != tt.want || answer.Finish != provider.Stop {
			t.Errorf("%s: %+v %v", name, answer, err)
		}
		if tt.usage == (provider.Usage{}) && !answer.Usage.Estimated || tt.usage != (provider.Usage{}) && answer.Usage != tt.usage {
			t.Errorf("%s: usage %+v", name, answer.Usage)
		}
	}
	endpoint, p := start(t, nil)
	for finish, want := range map[string]provider.FinishReason{"length": provider.Length, "content_filter": provider.ContentFilter, "eos": provider.Stop} {
		endpoint.On("", providertest.Stream(step{Text: "a"}, step{Finish: finish}, step{Done: true}))
		if answer, err := stream(t, p, request()); err != nil || answer.Finish != want {
			t.Errorf("%s: %+v %v", finish, answer, err)
		}
	}
}

// What goes wrong in the middle leaves what was said until then, and is not
// asked again.
func TestFailuresInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step step
		want provider.Kind
		text string
	}{
		"cut":                     {step{Cut: true}, provider.Unavailable, "broke off"},
		"ended":                   {step{Raw: "\n"}, provider.Unavailable, "broke off"},
		"half a line":             {step{Raw: `data: {"choices":[{"delta":{"conte`}, provider.Unavailable, "broke off"},
		"[DONE] without a reason": {step{Done: true}, provider.Unavailable, "broke off"},
		"stalled":                 {step{Stall: true}, provider.Timeout, "fell silent for 300ms"},
		"comments for ever":       {step{Raw: strings.Repeat(": x\n", 20_000)}, provider.Malformed, "comments"},
		"not JSON":                {step{Raw: "data: <html>\n\n"}, provider.Malformed, "cannot be understood"},
		"another shape":           {step{Raw: `data: {"choices":{"a":1}}` + "\n\n"}, provider.Malformed, "cannot be understood"},
		"too large":               {step{Raw: "data: " + strings.Repeat("x", 200_000)}, provider.Malformed, "too large"},
		"an error":                {step{Error: []byte(`{"message":"` + prompt + `","code":"rate_limit_exceeded"}`)}, provider.RateLimited, "rate_limit_exceeded"},
		"an error with a number":  {step{Error: []byte(`{"message":"` + key + `","code":502}`)}, provider.Unavailable, "error in the stream"},
		"an error as a text":      {step{Error: []byte(`"` + prompt + `"`)}, provider.Unavailable, "error in the stream"},
		"an error further back":   {step{Raw: `data: {"id":"","error":{"type":"server_error","code":"` + key + `"}}` + "\n\n"}, provider.Unavailable, "server_error"},
		"an error without data":   {step{Raw: `{"error":{"message":"m","type":"authentication_error"}}` + "\n"}, provider.Auth, "authentication_error"},
		"an error, filtered":      {step{Error: []byte(`{"message":"m","code":"content_filter"}`)}, provider.Filtered, "refuses"},
		"an error of the request": {step{Error: []byte(`{"message":"m","type":"invalid_request_error"}`)}, provider.BadRequest, "does not accept"},
	} {
		endpoint, p := start(t, func(o *openai.Options) {
			o.MaxBytes = 100_000
			if tt.want == provider.Timeout { // the others have time, on a busy machine
				o.TokenTimeout = 300 * time.Millisecond
			}
		})
		endpoint.On("", providertest.Stream(step{Text: "so far"}, tt.step))
		answer, err := stream(t, p, request())
		if kind(err) != tt.want || !strings.Contains(err.Error(), tt.text) || answer.Text != "so far" || !answer.Usage.Estimated {
			t.Errorf("%s: %+v, %s %v", name, answer, kind(err), err)
		}
		if n := len(endpoint.Requests()); n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

// What goes wrong before the first token is asked again, if that may help.
func TestFailuresBeforeTheFirstToken(t *testing.T) {
	t.Parallel()
	html := providertest.Reply{Headers: map[string]string{"Content-Type": "text/html"}, Body: "<html>" + prompt}
	for name, tt := range map[string]struct {
		reply    providertest.Reply
		want     provider.Kind
		requests int
		text     string
	}{
		"429":                {providertest.Failure(429, "rate_limit_exceeded"), provider.RateLimited, 3, "(status 429, rate_limit_exceeded)"},
		"no quota":           {providertest.Failure(429, "insufficient_quota"), provider.RateLimited, 1, "used up"},
		"500":                {providertest.Failure(500, "server_error"), provider.Unavailable, 3, "(status 500, server_error)"},
		"502 in HTML":        {providertest.Reply{Status: 502, Body: "<html>" + key}, provider.Unavailable, 3, "(status 502)"},
		"503":                {providertest.Failure(503, key), provider.Unavailable, 3, "(status 503, test_error)"},
		"504":                {providertest.Failure(504, prompt), provider.Unavailable, 3, "(status 504, test_error)"},
		"501":                {providertest.Failure(501, ""), provider.Unavailable, 1, "501"},
		"400":                {providertest.Failure(400, "context_length_exceeded"), provider.BadRequest, 1, "too long"},
		"400, filtered":      {providertest.Failure(400, "content_filter"), provider.Filtered, 1, "refuses"},
		"401":                {providertest.Failure(401, "invalid_api_key"), provider.Auth, 1, "key"},
		"403":                {providertest.Failure(403, ""), provider.Auth, 1, "403"},
		"404":                {providertest.Failure(404, "model_not_found"), provider.BadRequest, 1, "not known"},
		"a redirect":         {providertest.Reply{Status: 307, Headers: map[string]string{"Location": "/v1/chat/completions"}, Body: "x"}, provider.Unavailable, 1, "307"},
		"HTML":               {html, provider.Malformed, 1, "stream of events"},
		"JSON":               {providertest.Reply{Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"choices":[]}`}, provider.Malformed, 1, "stream of events"},
		"an error with 200":  {providertest.Reply{Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"error":{"type":"authentication_error"}}`}, provider.Auth, 1, "key"},
		"a bomb":             {bomb(200), provider.Malformed, 1, "compressed"},
		"a bomb in an error": {bomb(400), provider.BadRequest, 1, "400"},
		"an error, first":    {providertest.Stream(step{Error: []byte(`{"code":"server_error","message":"m"}`)}), provider.Unavailable, 3, "server_error"},
		"cut":                {providertest.Stream(step{Cut: true}), provider.Unavailable, 3, "broke off"},
		"empty":              {providertest.Stream(), provider.Unavailable, 3, "broke off"},
		"stalled":            {providertest.Stream(step{Stall: true}), provider.Timeout, 1, "no sign within 300ms"},
		"only a role":        {providertest.Stream(step{Raw: `data: {"choices":[{"delta":{"role":"assistant"}}]}` + "\n\n"}, step{Stall: true}), provider.Timeout, 1, "no sign within 300ms"},
	} {
		endpoint, p := start(t, func(o *openai.Options) {
			if tt.want == provider.Timeout {
				o.FirstTokenTimeout = 300 * time.Millisecond
			}
		})
		endpoint.On("", tt.reply)
		answer, err := stream(t, p, request())
		if kind(err) != tt.want || !strings.Contains(err.Error(), tt.text) || answer.Text != "" || answer.Usage != (provider.Usage{}) {
			t.Errorf("%s: %+v, %s %v", name, answer, kind(err), err)
		}
		if n := len(endpoint.Requests()); n != tt.requests {
			t.Errorf("%s: asked %d times, want %d", name, n, tt.requests)
		}
		if tt.requests == 3 { // and one of them may be good
			endpoint.On("", tt.reply, tt.reply, providertest.Answer("fine"))
			if answer, err := stream(t, p, request()); err != nil || answer.Text != "fine" {
				t.Errorf("%s, then fine: %+v %v", name, answer, err)
			}
		}
	}
}

// bomb is a lot of nothing in little.
func bomb(status int) providertest.Reply {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(make([]byte, 4<<20))
	z.Close()
	return providertest.Reply{Status: status, Headers: map[string]string{"Content-Encoding": "gzip"}, Body: b.String()}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, value string
		requests      int
		least, most   time.Duration
	}{
		{"Retry-After-Ms", "50", 2, 0, 0},
		{"Retry-After", "0.05", 2, 0, 0},
		{"Retry-After", "3600", 1, time.Hour, time.Hour},
		{"Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 1, 50 * time.Minute, time.Hour},
		{"Retry-After", "soon", 2, 0, 0},
		{"Retry-After", "-1", 2, 0, 0},
		{"Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 2, 0, 0},
	} {
		endpoint, p := start(t, nil)
		busy := providertest.Failure(429, "")
		busy.Headers[tt.header] = tt.value
		endpoint.On("", busy, providertest.Answer("fine"))
		_, err := stream(t, p, request())
		requests := endpoint.Requests()
		if len(requests) != tt.requests {
			t.Errorf("%s: asked %d times: %v", tt.value, len(requests), err)
		}
		if e, ok := errors.AsType[*provider.Error](err); ok && (e.RetryAfter < tt.least || e.RetryAfter > tt.most) {
			t.Errorf("%s: try again after %v", tt.value, e.RetryAfter)
		}
		exact := tt.value == "50" || tt.value == "0.05"
		if exact && len(requests) == 2 && requests[1].At.Sub(requests[0].At) < 50*time.Millisecond {
			t.Errorf("%s %s: asked again after %v", tt.header, tt.value, requests[1].At.Sub(requests[0].At))
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close()
	secure := httptest.NewUnstartedServer(providertest.New())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for url, tt := range map[string]struct {
		kind provider.Kind
		text string
	}{
		nobody:                              {provider.Unavailable, "cannot be reached"},
		secure.URL:                          {provider.Unavailable, "cannot be reached"},
		"https://" + silent.Addr().String(): {provider.Timeout, "cannot be reached within 200ms"},
		"http://" + silent.Addr().String():  {provider.Timeout, "no sign within 1s"},
		"http://no-such-host.invalid":       {provider.Unavailable, "cannot be reached"},
	} {
		o := openai.Options{URL: url, Key: key, FirstWait: time.Millisecond, Retries: 1}
		if strings.HasSuffix(url, silent.Addr().String()) {
			o.ConnectTimeout, o.FirstTokenTimeout = 200*time.Millisecond, time.Second
		}
		p, err := openai.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream(t, p, request()); kind(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %s %v", url, kind(err), err)
		}
	}
}

// The whole time is for everything, whatever goes on.
func TestTimeout(t *testing.T) {
	t.Parallel()
	endpoint, p := start(t, func(o *openai.Options) { o.Timeout = time.Second })
	endpoint.On("", providertest.Tokens(10_000, 5))
	if answer, err := stream(t, p, request()); kind(err) != provider.Timeout || !strings.Contains(err.Error(), "within 1s") || answer.Text == "" {
		t.Errorf("%+v %v", answer, err)
	}
	busy := providertest.Failure(503, "")
	busy.Headers["Retry-After"] = "10"
	endpoint.On("", busy)
	began := time.Now() // it does not wait for what it cannot have
	if _, err := stream(t, p, request()); kind(err) != provider.Unavailable || time.Since(began) > 9*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// Whoever does not want to hear more is not kept, and neither is the endpoint.
func TestCancel(t *testing.T) {
	t.Parallel()
	endpoint, p := start(t, nil)
	endpoint.On("", providertest.Stream(step{Text: "so far"}, step{Stall: true}))
	ctx, cancel := context.WithCancelCause(t.Context())
	answer, err := p.Stream(ctx, request(), func(string) error {
		time.AfterFunc(10*time.Millisecond, func() { cancel(errors.New("stopped")) })
		return nil
	})
	if !errors.Is(err, context.Canceled) || answer.Text != "so far" || !answer.Usage.Estimated {
		t.Errorf("%+v %v", answer, err)
	}
	eventually.True(t, func() bool { return endpoint.Active() == 0 })
	endpoint.On("", providertest.Stream(step{Stall: true}))
	limited, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if _, err := p.Stream(limited, request(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	eventually.True(t, func() bool { return endpoint.Active() == 0 })
}

// The time that others take over a token is not the endpoint's.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	_, p := start(t, func(o *openai.Options) {
		o.TokenTimeout, o.FirstTokenTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	pieces := 0
	_, err := p.Stream(t.Context(), request(), func(string) error {
		if pieces++; pieces == 1 {
			<-time.After(1500 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Connections are used again after a stream.
func TestConnectionsAreKept(t *testing.T) {
	endpoint := providertest.New()
	connections := make(chan net.Conn, 100)
	server := httptest.NewUnstartedServer(endpoint)
	server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections <- c
		}
	}
	server.Start()
	defer server.Close()
	p, err := openai.New(openai.Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 10 {
		if _, err := stream(t, p, request()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(connections); n > 2 {
		t.Errorf("%d connections for 10 answers", n)
	}
	if got := endpoint.Requests()[0].Header.Get("Authorization"); got != "" {
		t.Errorf("without a key, Authorization is %q", got)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	_, p := start(t, nil)
	if _, err := stream(t, p, request()); err != nil {
		t.Error(err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for want, o := range map[string]openai.Options{
		"url: is not https://host/path": {URL: "ftp://" + key},
		"url: holds a user":             {URL: "https://u:" + key + "@h/v1"},
		"url: has a query":              {URL: "https://h/v1?key=" + key},
		"headers[0].name: \"a b\" is":   {URL: "https://h", Headers: []openai.Header{{Name: "a b", Value: key}}},
	} {
		if _, err := openai.New(o); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The endpoint of the tests can be told what to do over HTTP, too.
func TestControl(t *testing.T) {
	endpoint, p := start(t, nil)
	control := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		endpoint.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w
	}
	if w := control("POST", "/control/rules", `[{"contains":"PROMPT","replies":[{"status":503,"body":"x"},{"steps":[{"text":"told"},{"finish":"stop"},{"done":true}]}]}]`); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	for range 2 {
		if answer, err := stream(t, p, request()); err != nil || answer.Text != "told" {
			t.Error(answer, err)
		}
	}
	var requests []providertest.Request
	if err := json.Unmarshal(control("GET", "/control/requests", "").Body.Bytes(), &requests); err != nil || len(requests) != 3 || !strings.Contains(string(requests[0].Body), prompt) {
		t.Error(err, requests)
	}
	if control("DELETE", "/control", "").Code != 204 || len(endpoint.Requests()) != 0 || control("POST", "/control/rules", "{").Code != 400 || control("GET", "/x", "").Code != 404 {
		t.Error("control")
	}
	r := request()
	r.Messages[0].Text = "stream 50 0"
	if answer, err := stream(t, p, r); err != nil || len(strings.Fields(answer.Text)) != 50 || answer.Usage.Completion != 50 {
		t.Error(answer, err)
	}
}
