package muster

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEntriesOutAndInAgain fails when a field is read from servers but not
// written to the disk cache.
func TestEntriesOutAndInAgain(t *testing.T) {
	var i Instance
	fillValue(reflect.ValueOf(&i).Elem(), 1)
	i.Unconfirmed = false
	i.Shard = &Shard{IDs: []uint32{1, 2}}
	i.tag = 77
	if diff := cmp.Diff(&i, instanceFrom(i.proto()), cmp.AllowUnexported(Instance{})); diff != "" {
		t.Errorf("an instance (-before +after):\n%s", diff)
	}
	i.Shard = &Shard{Start: []byte("a"), End: []byte("b")}
	if diff := cmp.Diff(&i, instanceFrom(i.proto()), cmp.AllowUnexported(Instance{})); diff != "" {
		t.Errorf("an instance with a range (-before +after):\n%s", diff)
	}
	var s ServiceState
	fillValue(reflect.ValueOf(&s).Elem(), 1)
	s.tag = 78
	if diff := cmp.Diff(&s, serviceStateFrom(s.proto()), cmp.AllowUnexported(ServiceState{})); diff != "" {
		t.Errorf("a service state (-before +after):\n%s", diff)
	}
	bare := instanceFrom(instance("pay", "pay-1"))
	if diff := cmp.Diff(bare, instanceFrom(bare.proto()), cmp.AllowUnexported(Instance{})); diff != "" {
		t.Errorf("a bare instance (-before +after):\n%s", diff)
	}
}

// fillValue sets every exported field to something that is not its zero value.
func fillValue(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(n), 5).UTC()))
			return
		}
		for f := range v.NumField() {
			if v.Type().Field(f).IsExported() {
				fillValue(v.Field(f), n+f)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillValue(v.Index(0), n)
		fillValue(v.Index(1), n+1)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k": "v"}))
	case reflect.String:
		v.SetString(fmt.Sprint("text", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(int64(n%2 + 2))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(n))
	default:
		panic(v.Kind().String())
	}
}
