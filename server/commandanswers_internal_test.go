package server

import (
	"reflect"
	"strings"
	"testing"
)

// answers are what commands print with --json: a type whose keys are meant, or
// their names. Keys stay as they are; new ones may come.
var answers = map[string]any{
	"who":  []jsonGuest{},
	"log":  jsonLine{},
	"list": []jsonMachine{}, "show": jsonMachineDetail{}, "reserve": jsonMachine{}, "extend": jsonMachine{}, "release": jsonMachine{},
	"lend": jsonMachine{}, "queue": []jsonPlace{}, "history": []jsonReservation{},
	"provision": jsonRun{}, "run list": []jsonRun{}, "run show": jsonRun{}, "run wait": jsonRun{}, "run cancel": jsonRun{}, "run done": jsonMachine{},
	"power": "name, action; of status: name, power", "boot": "name, device, persistent, firmware", "boot-config": jsonNextBoot{},
	"identify": "name, light", "sensors": "name, at, sensors (" + keys(reflect.TypeFor[jsonSensor]()) + ")",
	"sel": "name, events (" + keys(reflect.TypeFor[jsonEvent]()) + ")", "fru": jsonFRU{}, "bmc": jsonController{},
	"patterns list": []jsonPattern{}, "patterns add": jsonPattern{}, "patterns remove": "name",
	"image list": []jsonImage{}, "image show": jsonImage{}, "image set": jsonImage{}, "image put": jsonImage{}, "image import": jsonImage{},
	"image rm": "an array of names", "disks": "an array of paths",
	"preseed list": []jsonPreseed{}, "preseed show": jsonPreseed{}, "preseed put": jsonPreseed{}, "preseed set": jsonPreseed{},
	"preseed rm": "name", "preseed preview": "preseed, type, machine, text, undefined (name, line), kernel_options",
	"events": []jsonHappening{}, "token list": []jsonToken{}, "token create": "token, user, name, scope, machines, expires_at", "token revoke": "id",
	"key list": []jsonKey{}, "key add": "user, fingerprint, comment", "key rm": "user, fingerprint", "whoami": "name, role, via, admin",
}

// answerOf is what the page says of a command's --json.
func answerOf(t *testing.T, command string) string {
	answer, known := answers[command]
	if !known {
		t.Errorf("nobody has written down what %s prints with --json", command)
		return ""
	}
	if text, ok := answer.(string); ok {
		return text
	}
	of := reflect.TypeOf(answer)
	if of.Kind() == reflect.Slice {
		return "an array of: " + keys(of.Elem())
	}
	return keys(of)
}

// keys are those of a type in JSON, and of what it holds.
func keys(of reflect.Type) string {
	var names []string
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			names = append(names, keys(f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		within := f.Type
		for within.Kind() == reflect.Pointer || within.Kind() == reflect.Slice {
			within = within.Elem()
		}
		if within.Kind() == reflect.Struct && within.PkgPath() == of.PkgPath() {
			name += " (" + keys(within) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
