package config

import (
	"fmt"
	"strconv"
	"time"
)

// checkScalar says what is wrong with the text of a value, "" if nothing is.
// like is the default of the setting, whose type the text must have.
func checkScalar(like any, text string) string {
	switch like.(type) {
	case time.Duration:
		if _, err := time.ParseDuration(text); err != nil {
			if _, err := strconv.ParseFloat(text, 64); err == nil {
				return fmt.Sprintf("%s has no unit, write %ss or %sms", text, text, text)
			}
			return fmt.Sprintf("%q is not a duration such as 25s or 1m30s", text)
		}
	case Size:
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
	case bool:
		if _, err := strconv.ParseBool(text); err != nil {
			return fmt.Sprintf("%q is not true or false", text)
		}
	case int:
		if _, err := strconv.Atoi(text); err != nil {
			return fmt.Sprintf("%q is not a whole number", text)
		}
	}
	return ""
}
