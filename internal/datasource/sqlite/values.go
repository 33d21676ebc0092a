package sqlite

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// A cell takes one value of a row as workflows know it.
type cell struct {
	declared string // the type of the column
	value    any
	bytes    int
}

// maxExact is the largest whole number that a JSON number has exactly
// everywhere.
const maxExact = 1 << 53

// Scan implements [database/sql.Scanner].
func (c *cell) Scan(src any) error {
	c.value, c.bytes = src, 8
	switch v := src.(type) {
	case int64:
		if v < -maxExact || v > maxExact {
			c.value = strconv.FormatInt(v, 10)
		}
	case float64:
		if math.IsInf(v, 0) {
			c.value = strconv.FormatFloat(v, 'f', -1, 64)
		}
	case time.Time:
		c.value = v.UTC().Format(time.RFC3339Nano)
	case []byte:
		c.value, c.bytes = base64.StdEncoding.EncodeToString(v), len(v)
	case string:
		c.value, c.bytes = strings.ToValidUTF8(v, "\uFFFD"), len(v)
		var decoded any
		if strings.HasPrefix(c.declared, "JSON") && json.Unmarshal([]byte(v), &decoded) == nil {
			c.value = decoded
		}
	}
	return nil
}
