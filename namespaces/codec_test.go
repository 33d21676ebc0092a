package namespaces

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
)

// Various has a field of every kind that payloads have.
type various struct {
	Text    string            `json:"text"`
	Mode    events.WidgetMode `json:"mode,omitempty"`
	Count   int               `json:"count"`
	Small   uint8             `json:"small"`
	Ratio   float64           `json:"ratio"`
	Yes     bool              `json:"yes"`
	Maybe   *string           `json:"maybe"`
	List    []string          `json:"list"`
	Inputs  map[string]any    `json:"inputs,omitempty"`
	Numbers map[string]int    `json:"numbers"`
	Any     any               `json:"any"`
	Raw     events.JSON       `json:"raw"`
	At      time.Time         `json:"at"`
	Shout   shout             `json:"shout"`
	Bytes   []byte            `json:"bytes"`
	Hash    [2]byte           `json:"hash"`
	Quoted  int               `json:"quoted,string"`
	Sub     struct{ A, B int }
	Subs    []various `json:"subs"`
	Parent  *various  `json:"parent"`
	nested
}

type nested struct {
	Inner string `json:"inner"`
}

// A shout decodes itself.
type shout struct{ text string }

func (s *shout) UnmarshalJSON(b []byte) error {
	if b[0] == '7' {
		return events.FieldErrorf("shout", "is too low")
	}
	return json.Unmarshal(b, &s.text)
}

var decoded = []string{
	`{"text":"a","mode":"replay","count":-3,"small":255,"ratio":1.5e3,"yes":true,"maybe":"x","list":["a","b"]}`,
	`{"inputs":{"n":1,"s":"x","l":[1,null,{"a":1.0}]},"numbers":{"a":1},"any":[1,"2",{"3":null}],"raw": {"a" : [1, 2]} }`,
	`{"at":"2026-01-02T15:04:05.000Z","shout":"hey","bytes":"aGk=","Sub":{"A":1,"B":2},"inner":"i"}`,
	`{"subs":[{"text":"a"},{"subs":[{"count":1}]}],"parent":{"parent":{"text":"p"}}}`,
	`{"TEXT":"a","Count":1,"sub":{"a":1,"b":2},"INNER":"i"}`,
	`{"text":"a","TEXT":"b"}`, `{"TEXT":"b","text":"a"}`, `{"te-xt":"a","te_xt":"b"}`,
	`{"text":"a","text":"b"}`, `{"list":["a","b"],"list":["c"]}`, `{"inputs":{"a":1},"inputs":{"b":2}}`,
	`{"inputs":{"a":1,"a":2}}`, `{"parent":{"text":"a"},"parent":{"count":1}}`,
	"{\"text\":\"\xff\"}", `{"text":"\ud800"}`, `{"text":"<é😀\u00e9\ud83d\ude00>"}`, "{\"raw\":\"\xff\"}",
	`{"unknown":1,"text":"a"}`, `{"Parent":{"unknown":{}}}`,
	`null`, `{"text":null,"count":null,"list":null,"inputs":null,"any":null,"raw":null,"shout":null,"parent":null,"at":null,"Sub":null,"bytes":null,"maybe":null}`,
	`{}`, `[]`, `"x"`, `7`, ``, `{`, `{"text":"a"} x`, `{"text":"a",}`, " \n{}\t", `{"list":[]}`, `{"inputs":{}}`,
	`{"text":1}`, `{"count":"1"}`, `{"count":1.0}`, `{"count":1e3}`, `{"small":256}`, `{"small":-1}`, `{"ratio":1e999}`,
	`{"list":[1]}`, `{"list":{}}`, `{"Sub":{"A":"x"}}`, `{"subs":[{"count":true}]}`, `{"parent":[]}`,
	`{"inputs":[]}`, `{"any":1e999}`, `{"at":"yesterday"}`, `{"at":"2026-01-02T15:04:05,5Z"}`, `{"at":"2026-01-02T5:04:05Z"}`,
	`{"shout":7}`, `{"shout":[]}`, `{"bytes":"?"}`, `{"bytes":"aGk"}`, `{"bytes":"a\nGk="}`, `{"bytes":[1,2]}`,
	`{"hash":"aGk="}`, `{"hash":[1,2]}`, `{"hash":[1]}`, `{"hash":[1,2,3]}`, `{"quoted":"5"}`, `{"quoted":5}`,
	`{"numbers":{"a":"x"}}`, `{"a":[1]}`, `{"any":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`,
}

// same holds unmarshal against encoding/json.
func same[T any](t *testing.T, raw string) {
	t.Helper()
	var want T
	wantErr := json.Unmarshal([]byte(raw), &want)
	got, err := unmarshal[T]([]byte(raw))
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || reflect.TypeOf(err) != reflect.TypeOf(wantErr) {
		t.Errorf("%q: error %v (%T), want %v (%T)", raw, err, err, wantErr, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: got %+v, want %+v", raw, got, want)
	}
}

func sameAll(t *testing.T, raw string) {
	same[various](t, raw)
	same[string](t, raw)
	same[struct{}](t, raw)
	same[events.JSON](t, raw)
	same[any](t, raw)
	same[*various](t, raw)
	same[[]various](t, raw)
	same[map[string][2]int](t, raw)
}

func TestUnmarshal(t *testing.T) {
	for _, raw := range decoded {
		sameAll(t, raw)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, raw := range decoded {
		f.Add(raw)
	}
	f.Fuzz(sameAll)
}

// What is usual must not be decoded twice, which would show here: the second
// time costs a dozen allocations. The race detector adds a few of its own.
func TestUnmarshalOnce(t *testing.T) {
	raw := []byte(echoMessage)
	if n := testing.AllocsPerRun(100, func() { unmarshal[echo](raw) }); n > 9 {
		t.Errorf("%v allocations", n)
	}
}
