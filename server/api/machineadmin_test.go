package api

import (
	"encoding/json"
	"testing"
)

func TestAdminsAddAndChangeMachines(t *testing.T) {
	newWorld(t).run("machines of admins", `
root POST /machine
{"name": "web-01", "bmc": {"address": "10.9.9.9", "password": "x"}}
-> 409
{"error_type": "Conflict", "errors": ["add machine web-01: there is a machine \"web-01\" already"]}

root GET /bmc?q=(= machines web-01)
-> 200
[{"id": 1, "type": "plain", "address": "web-01", "username": "", "cipher_suites": "", "privilege": "", "has_kg": false, "machines": ["web-01"]}]

root POST /machine
{"name": "x", "arch": "pdp11"}
-> 400

root POST /machine
{"name": "x", "bmc": {"id": 77}}
-> 400

root POST /bmc
{"type": "moonshot", "address": "10.0.3.1", "username": "u", "password": "secret"}
-> 201

root POST /machine
{"name": "cartridge-7", "bmc": {"id": 3, "slot": 7}}
-> 201

root GET /bmc/3
-> 200
{"id": 3, "type": "moonshot", "address": "10.0.3.1", "username": "u", "cipher_suites": "", "privilege": "", "has_kg": false, "machines": ["cartridge-7"]}

root DELETE /bmc/3
-> 409

root PUT /machine/cartridge-7
{"name": "cartridge-8", "console": "on-demand", "macs": ["52-54-00-00-00-08"], "bmc": {"id": 3, "slot": 8}}
-> 200

root GET /machine/cartridge-8/interface/52:54:00:00:00:08
-> 200

root GET /machine/cartridge-7
-> 404

root PUT /machine/cartridge-8
{"bmc": null, "console": null}
-> 200

root PUT /machine/cartridge-8
{"console": "never"}
-> 400

root PUT /machine/cartridge-8
{"name": "web-01"}
-> 409

ada PUT /machine/web-01
{"console": "always"}
-> 403

root DELETE /machine/web-01
-> 409
`)
}

func TestAnImportSaysWhatIsWrongByLine(t *testing.T) {
	newWorld(t).run("import", `
root POST /machine/import?format=csv
name,arch
rack-1,amd64
rack-2,pdp11
rack-1,amd64
-> 400
{"error_type": "InvalidUsage", "errors": ["...", "..."]}

root POST /machine/import?format=csv&dry_run=true
name,arch
rack-1,amd64
rack-2,pdp11
-> 200
{"done": false, "machines": [{"line": 2, "name": "rack-1", "action": "add", "changes": ["name rack-1", "arch amd64", "firmware uefi"]}],
 "problems": [{"line": 3, "field": "arch", "text": "..."}]}

root POST /machine/import
{"name": "rack-1"}
-> 400

root GET /machine/rack-1
-> 404

root POST /machine/import
[{"name": "rack-1", "bmc_address": "10.0.3.9", "bmc_user": "u", "bmc_password": "hunter2"}]
-> 200

root POST /machine/import?dry_run=true
[{"name": "rack-1", "bmc_address": "10.0.3.9", "bmc_user": "u", "bmc_password": "hunter3"}]
-> 200
{"done": false, "machines": [{"line": 1, "name": "rack-1", "action": "change", "changes": ["another bmc_password"]}], "problems": []}

root POST /machine/import?format=yaml
-> 400
`)
}

func TestATokenForAFewMachinesSeesNoOthers(t *testing.T) {
	w := newWorld(t)
	_, answer := w.exchange("root", "POST", "/token", `{"user": "ada", "machines": "(= name \"arm-01\")"}`)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Token == "" {
		t.Fatal(answer, err)
	}
	few := "Authorization: Bearer " + made.Token
	for target, want := range map[string]int{
		"/machine/arm-01": 200, "/machine/web-01": 404, "/machine/1": 404, "/machine/web-01/boot": 404, "/machine/web-01/log": 404,
		"/machine/web-01/disk": 404, "/machine/web-01/inventory": 404, "/machine/web-01/interface": 404, "/preseed/debian/preview?machine=web-01": 400,
		"/user/self/key": 403, "/token": 403,
	} {
		if got, body := w.exchange("-", "GET", target, "", few); got.StatusCode != want {
			t.Errorf("%s: %d %s; want %d", target, got.StatusCode, body, want)
		}
	}
}
