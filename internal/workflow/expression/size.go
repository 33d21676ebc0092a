package expression

import "reflect"

// word is what a number, or a reference to something else, counts.
const word = 16

// shallow is about how many bytes a value itself takes, without what it refers
// to.
func shallow(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		return len(v) * word
	case map[string]any:
		return len(v) * 3 * word
	}
	if r := reflect.ValueOf(v); v != nil && (r.Kind() == reflect.Slice || r.Kind() == reflect.Map) {
		return r.Len() * word
	}
	return word
}

// sizeOf is about how many bytes a value takes when it is written out. Counting
// stops beyond most, since parts that are shared are counted each time.
func sizeOf(v any, most int) int {
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
		return word
	case string:
		return len(v)
	case []any:
		size := word
		for _, e := range v {
			if size += sizeOf(e, most-size); size > most {
				break
			}
		}
		return size
	case map[string]any:
		size := word
		for k, e := range v {
			if size += len(k) + sizeOf(e, most-size); size > most {
				break
			}
		}
		return size
	}
	return sizeByReflection(reflect.ValueOf(v), most)
}

// sizeByReflection is for the lists and maps of one type that functions make.
func sizeByReflection(v reflect.Value, most int) int {
	size := word
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && size <= most; i++ {
			size += sizeOf(v.Index(i).Interface(), most-size)
		}
	case reflect.Map:
		for it := v.MapRange(); size <= most && it.Next(); {
			size += sizeOf(it.Key().Interface(), most-size) + sizeOf(it.Value().Interface(), most-size)
		}
	}
	return size
}
