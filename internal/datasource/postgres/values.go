package postgres

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// maxExact is the largest whole number that a JSON number has exactly
// everywhere.
const maxExact = 1 << 53

// decode turns the text of a value into what workflows know. What has no
// counterpart there stays text: decimals, so that they keep their digits,
// times, which are ISO 8601, and everything unknown.
func decode(oid uint32, raw []byte) any {
	if raw == nil {
		return nil
	}
	s := string(raw)
	switch oid {
	case pgtype.BoolOID:
		return s == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && -maxExact <= n && n <= maxExact {
			return n
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(s, 64); err == nil && f-f == 0 { // neither NaN nor infinite
			return f
		}
	case pgtype.JSONOID, pgtype.JSONBOID:
		var v any
		if json.Unmarshal(raw, &v) == nil {
			return v
		}
	case pgtype.ByteaOID:
		if b, err := hex.DecodeString(strings.TrimPrefix(s, `\x`)); err == nil {
			return base64.StdEncoding.EncodeToString(b)
		}
	case pgtype.TimestampOID:
		return strings.Replace(s, " ", "T", 1)
	case pgtype.TimestamptzOID:
		return zoned(s)
	}
	if element, ok := elements[oid]; ok {
		if list, rest, ok := array(element, s); ok && rest == "" {
			return list
		}
	}
	return s
}

// elements are the types of what is in arrays.
var elements = map[uint32]uint32{
	pgtype.BoolArrayOID: pgtype.BoolOID, pgtype.Int2ArrayOID: pgtype.Int2OID, pgtype.Int4ArrayOID: pgtype.Int4OID, pgtype.Int8ArrayOID: pgtype.Int8OID,
	pgtype.Float4ArrayOID: pgtype.Float4OID, pgtype.Float8ArrayOID: pgtype.Float8OID, pgtype.NumericArrayOID: pgtype.NumericOID,
	pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID, pgtype.UUIDArrayOID: pgtype.UUIDOID,
	pgtype.JSONArrayOID: pgtype.JSONOID, pgtype.JSONBArrayOID: pgtype.JSONBOID, pgtype.ByteaArrayOID: pgtype.ByteaOID,
	pgtype.DateArrayOID: pgtype.DateOID, pgtype.TimestampArrayOID: pgtype.TimestampOID, pgtype.TimestamptzArrayOID: pgtype.TimestamptzOID,
}

// zoned writes a moment, in UTC by the settings of the session.
func zoned(s string) string {
	if rest, ok := strings.CutSuffix(s, "+00"); ok {
		return strings.Replace(rest, " ", "T", 1) + "Z"
	}
	return s // infinity, or before Christ
}

// array reads {1,"a b",NULL,{2}}. ok is false for forms that are rare, such as
// arrays that do not begin at 1; they stay text.
func array(element uint32, s string) (list []any, rest string, ok bool) {
	if !strings.HasPrefix(s, "{") {
		return nil, s, false
	}
	list, rest = []any{}, s[1:]
	for !strings.HasPrefix(rest, "}") {
		var item any
		switch {
		case strings.HasPrefix(rest, "{"):
			item, rest, ok = array(element, rest)
		case strings.HasPrefix(rest, `"`):
			var text string
			text, rest, ok = unquote(rest)
			item = decode(element, []byte(text))
		default:
			n := strings.IndexAny(rest, ",}")
			if ok = n > 0; !ok {
				return nil, rest, false
			}
			if text := rest[:n]; text != "NULL" {
				item = decode(element, []byte(text))
			}
			rest = rest[n:]
		}
		if !ok || rest == "" {
			return nil, rest, false
		}
		list = append(list, item)
		rest = strings.TrimPrefix(rest, ",")
	}
	return list, rest[1:], true
}

// unquote reads a text in quotes, in which a backslash stands before what is
// meant literally.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return b.String(), s[i+1:], true
		}
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// encode writes a value as the server reads it: nil is NULL, a list an array.
func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case json.Number:
		return []byte(v), nil
	case json.RawMessage:
		return v, nil
	case int, int64, float64:
		return fmt.Append(nil, v), nil
	case []any:
		return encodeArray(v)
	}
	raw, err := json.Marshal(v)
	return raw, err
}

func encodeArray(list []any) ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		raw, err := encode(v)
		switch _, nested := v.([]any); {
		case err != nil:
			return nil, err
		case v == nil:
			b.WriteString("NULL")
		case nested:
			b.Write(raw)
		default:
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(raw)) + `"`)
		}
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}
