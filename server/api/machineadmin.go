package api

import (
	"bytes"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// machineBMC is the management controller of a machine, in requests.
type machineBMC struct {
	ID           int64  `json:"id,omitempty" minimum:"1" doc:"One that there is, such as that of a chassis"`
	Slot         int    `json:"slot,omitempty" minimum:"0" maximum:"255" doc:"The machine's cartridge of a chassis"`
	Type         string `json:"type,omitempty" enum:"plain,moonshot" doc:"Left out: plain"`
	Address      string `json:"address,omitempty" maxLength:"262" doc:"Host, or host:port"`
	Username     string `json:"username,omitempty" maxLength:"64"`
	Password     string `json:"password,omitempty" maxLength:"64"`
	KG           string `json:"kg,omitempty" maxLength:"64"`
	CipherSuites string `json:"cipher_suites,omitempty" maxLength:"64"`
	Privilege    string `json:"privilege,omitempty" maxLength:"16"`
}

func (b machineBMC) bmc() *store.BMC {
	return &store.BMC{
		ID: b.ID, Slot: b.Slot, Type: store.BMCType(b.Type), Address: b.Address, Username: b.Username, Password: b.Password, KG: b.KG,
		CipherSuites: b.CipherSuites, Privilege: b.Privilege,
	}
}

// consoleMode is when a console is connected.
type consoleMode string

// Schema implements [huma.SchemaProvider].
func (consoleMode) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{string(store.ConsoleAlways), string(store.ConsoleOnDemand), nil}}
}

func (a *api) machineAdminOperations() {
	tags := []string{"machines"}
	operation(a, huma.Operation{
		OperationID: "add-machine", Method: http.MethodPost, Path: "/machine", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Add a machine", Description: "Admins only.",
	}, a.addMachine)
	operation(a, huma.Operation{
		OperationID: "remove-machine", Method: http.MethodDelete, Path: "/machine/{id}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary:     "Remove a machine",
		Description: "Admins only. While somebody holds it, or it is being installed, it stays: 409. Its history and the log of its console stay.",
	}, a.removeMachine)
	operation(a, huma.Operation{
		OperationID: "import-machines", Method: http.MethodPost, Path: "/machine/import", Tags: tags, MaxBodyBytes: lab.MaxMachineFile + 1, SkipValidateBody: true,
		Summary: "Add and change many machines",
		Description: "Admins only. JSON: an array of objects, with the keys that the export has, and bmc_password and bmc_kg. CSV: the first line names " +
			"the same; an empty cell says nothing, and `-` that the field is to be empty. All is done or, where there is a problem, nothing: 400, which " +
			"names the line, and 200 with the problems in a dry run.",
	}, a.importMachines)
	operation(a, huma.Operation{
		OperationID: "export-machines", Method: http.MethodGet, Path: "/machine/export", Tags: tags,
		Summary: "List all machines as the import reads them", Description: "Admins only. Without the secrets of their BMCs.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject}}},
			"text/csv":         {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
	}, a.exportMachines)
}

type addMachineInput struct {
	Body struct {
		_       struct{}             `additionalProperties:"true"`
		Name    string               `json:"name" maxLength:"63"`
		Arch    string               `json:"arch,omitempty" maxLength:"64" default:"amd64"`
		Subarch string               `json:"subarch,omitempty" maxLength:"64" default:"uefi"`
		MACs    []string             `json:"macs,omitempty" maxItems:"64"`
		BMC     optional[machineBMC] `json:"bmc,omitempty"`
	}
}

func (a *api) addMachine(ctx context.Context, actor lab.Actor, in *addMachineInput) (*machineAnswer, error) {
	m := lab.NewMachine{Name: in.Body.Name, Arch: in.Body.Arch, Subarch: in.Body.Subarch, MACs: in.Body.MACs}
	if bmc := in.Body.BMC.value; bmc != nil {
		m.BMC = bmc.bmc()
		if m.BMC.ID != 0 { // its address and account are those that there are
			info, err := a.lab.BMC(ctx, actor, m.BMC.ID)
			if err != nil {
				return nil, orInvalid(err)
			}
			m.BMC = nil
			return a.addMachineOf(ctx, actor, m, store.BMC{ID: info.ID, Slot: bmc.Slot})
		}
	}
	return a.addMachineOf(ctx, actor, m, store.BMC{})
}

// addMachineOf adds a machine, and gives it a BMC that there is already where
// that has an id.
func (a *api) addMachineOf(ctx context.Context, actor lab.Actor, m lab.NewMachine, bmc store.BMC) (*machineAnswer, error) {
	isNew := lab.OnlyIf(ctx, func(ctx context.Context) error {
		_, err := a.lab.Machine(ctx, lab.Local, m.Name) // one that the token is not for, too
		return unlessThere(err, "a machine", m.Name)
	})
	if err := a.lab.AddMachine(isNew, actor, m); err != nil {
		return nil, orInvalid(err)
	}
	if bmc.ID != 0 {
		if err := a.lab.ChangeMachine(ctx, actor, m.Name, lab.MachineChange{BMC: &bmc}); err != nil {
			if undo := a.lab.RemoveMachine(ctx, actor, m.Name); undo != nil {
				return nil, undo
			}
			return nil, orInvalid(err)
		}
	}
	return a.machine(ctx, actor, m.Name)
}

func (a *api) removeMachine(ctx context.Context, actor lab.Actor, in *MachinePath) (*nothing, error) {
	name, err := in.name(ctx, a, actor)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.RemoveMachine(ctx, actor, name)
}

// MachineImport is what a file does, or would do.
type MachineImport struct {
	Done     bool              `json:"done" doc:"It was done: it was no dry run"`
	Machines []ImportedMachine `json:"machines"`
	Problems []ImportProblem   `json:"problems"`
}

// ImportedMachine is what becomes of a machine by a file.
type ImportedMachine struct {
	Line    int      `json:"line"`
	Name    string   `json:"name"`
	Action  string   `json:"action" enum:"add,change,same"`
	Changes []string `json:"changes" doc:"For people"`
}

// ImportProblem is what is wrong in a file, and where.
type ImportProblem struct {
	Line  int     `json:"line" doc:"From 1; where the row begins"`
	Field *string `json:"field" doc:"null: it is about the row"`
	Text  string  `json:"text"`
}

// maxProblems bounds how many a refusal names; a dry run names all.
const maxProblems = 100

type importInput struct {
	Format  string `query:"format" enum:"json,csv" default:"json"`
	DryRun  bool   `query:"dry_run" doc:"Only tell what would be done"`
	RawBody []byte `contentType:"application/json"`
}

type importAnswer struct{ Body MachineImport }

func (a *api) importMachines(ctx context.Context, actor lab.Actor, in *importInput) (*importAnswer, error) {
	done, err := a.lab.ImportMachines(ctx, actor, in.Format, in.RawBody, in.DryRun)
	switch {
	case err == nil, in.DryRun && len(done.Problems) > 0:
	case len(done.Problems) > 0:
		refused := &Error{Type: codes[lab.Invalid].name, Errors: []string{}, status: http.StatusBadRequest}
		for _, p := range done.Problems[:min(len(done.Problems), maxProblems)] {
			refused.Errors = append(refused.Errors, p.String())
		}
		return nil, refused
	default:
		return nil, err
	}
	out := &importAnswer{MachineImport{Done: done.Done, Machines: []ImportedMachine{}, Problems: []ImportProblem{}}}
	for _, m := range done.Machines {
		out.Body.Machines = append(out.Body.Machines, ImportedMachine{m.Line, m.Name, m.Action, notNil(m.Changes)})
	}
	for _, p := range done.Problems {
		out.Body.Problems = append(out.Body.Problems, ImportProblem{p.Line, optionalText(p.Field), p.Text})
	}
	return out, nil
}

type exportInput struct {
	Format string `query:"format" enum:"json,csv" default:"json"`
}

type fileAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *api) exportMachines(ctx context.Context, actor lab.Actor, in *exportInput) (*fileAnswer, error) {
	var file bytes.Buffer
	if err := a.lab.ExportMachines(ctx, actor, in.Format, &file); err != nil {
		return nil, err
	}
	kind := "application/json"
	if in.Format == lab.FormatCSV {
		kind = "text/csv; charset=utf-8"
	}
	return &fileAnswer{kind, file.Bytes()}, nil
}
