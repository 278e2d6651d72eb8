package store

import (
	"context"
	"database/sql"
	"time"
)

// RunState is how a provisioning run stands.
type RunState string

const (
	RunRunning   RunState = "running"
	RunDone      RunState = "done"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// Run is one attempt to install a machine.
type Run struct {
	ID            int64
	MachineID     int64
	Machine       string
	UserID        int64 // who asked for it; 0: nobody who still is
	KernelID      int64
	InitrdID      int64
	PreseedID     int64
	KernelOptions string
	Token         string
	State         RunState
	Stage         string
	StageAt       time.Time // since when it has come so far
	Error         string
	StartedAt     time.Time
	EndedAt       time.Time // zero: running
}

const selectRun = `SELECT runs.id, runs.machine_id, machines.name, runs.user_id, runs.kernel_id, runs.initrd_id,
	runs.preseed_id, runs.kernel_options, runs.token, runs.state, runs.stage, coalesce(runs.stage_at, runs.started_at), runs.error, runs.started_at, runs.ended_at
	FROM runs JOIN machines ON machines.id = runs.machine_id `

func scanRun(r row) (v Run, err error) {
	var user, kernel, initrd, preseed sql.NullInt64
	err = r.Scan(&v.ID, &v.MachineID, &v.Machine, &user, &kernel, &initrd, &preseed, &v.KernelOptions, &v.Token,
		&v.State, &v.Stage, moment{&v.StageAt}, &v.Error, moment{&v.StartedAt}, optionalTime{&v.EndedAt})
	v.UserID, v.KernelID, v.InitrdID, v.PreseedID = user.Int64, kernel.Int64, initrd.Int64, preseed.Int64
	return v, err
}

// AddRun keeps a new run and returns its id. [ErrExists] where the machine has
// one that is running.
func (tx *Tx) AddRun(ctx context.Context, r Run) (int64, error) {
	id, err := tx.insert(ctx, `INSERT INTO runs (machine_id, user_id, kernel_id, initrd_id, preseed_id, kernel_options,
		token, state, stage, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.MachineID, optionalID(r.UserID),
		optionalID(r.KernelID), optionalID(r.InitrdID), optionalID(r.PreseedID), r.KernelOptions,
		r.Token, r.State, r.Stage, millis(r.StartedAt))
	if err != nil || r.Stage == "" {
		return id, err
	}
	return id, tx.addRunStage(ctx, id, r.Stage, r.StartedAt)
}

func (tx *Tx) addRunStage(ctx context.Context, id int64, stage string, at time.Time) error {
	_, err := tx.insert(ctx, `INSERT INTO run_stages (run_id, stage, at) VALUES (?, ?, ?)`, id, stage, millis(at))
	return err
}

// RunningRun returns the run of a machine that is going on.
func (tx *Tx) RunningRun(ctx context.Context, machineID int64) (Run, error) {
	return one(ctx, tx, scanRun, selectRun+`WHERE runs.machine_id = ? AND runs.state = 'running'`, machineID)
}

// LatestRun returns the newest run of a machine.
func (tx *Tx) LatestRun(ctx context.Context, machineID int64) (Run, error) {
	return one(ctx, tx, scanRun, selectRun+`WHERE runs.machine_id = ? ORDER BY runs.id DESC LIMIT 1`, machineID)
}

// RunningRuns returns all runs that are going on.
func (tx *Tx) RunningRuns(ctx context.Context) ([]Run, error) {
	return all(ctx, tx, scanRun, selectRun+`WHERE runs.state = 'running' ORDER BY runs.id`)
}

// RunByToken returns the run that a machine names in its addresses.
func (tx *Tx) RunByToken(ctx context.Context, token string) (Run, error) {
	return one(ctx, tx, scanRun, selectRun+`WHERE runs.token = ?`, token)
}

// SetRunStage notes how far a run has come, and since when.
func (tx *Tx) SetRunStage(ctx context.Context, id int64, stage string, at time.Time) error {
	if err := tx.change(ctx, `UPDATE runs SET stage = ?, stage_at = ? WHERE id = ?`, stage, millis(at), id); err != nil {
		return err
	}
	return tx.addRunStage(ctx, id, stage, at)
}

// EndRun notes how a run ended. [ErrNotFound] where it has ended already.
func (tx *Tx) EndRun(ctx context.Context, id int64, state RunState, why string, at time.Time) error {
	return tx.change(ctx, `UPDATE runs SET state = ?, error = ?, ended_at = ? WHERE id = ? AND state = 'running'`,
		state, why, millis(at), id)
}

// RunStage is a stage that a run has come to.
type RunStage struct {
	Stage string
	At    time.Time
}

// RunRecord is a run with what it refers to, by name; without its token.
type RunRecord struct {
	Run
	User    string // empty: nobody who still is, as for the others
	Kernel  string
	Initrd  string
	Preseed string
	Stages  []RunStage // in their order
}

// RunFilter says which runs are wanted.
type RunFilter struct {
	ID       int64     // 0: any
	Machine  string    // name; empty: of all
	User     string    // name; empty: of all
	State    RunState  // empty: any
	Machines *[]string // names; nil: of all
	Before   int64     // only those with a lower id; 0: all
	Limit    int
}

// Runs returns runs with their stages, the newest first.
func (tx *Tx) Runs(ctx context.Context, f RunFilter) ([]RunRecord, error) {
	var w where
	w.add(f.ID != 0, `runs.id = ?`, f.ID)
	w.add(f.Machine != "", `machines.name = ?`, f.Machine)
	w.add(f.User != "", `users.name = ?`, f.User)
	w.add(f.State != "", `runs.state = ?`, f.State)
	w.add(f.Before != 0, `runs.id < ?`, f.Before)
	if err := w.in(`machines.name`, f.Machines); err != nil {
		return nil, err
	}
	records, err := all(ctx, tx, func(r row) (v RunRecord, err error) {
		var user, kernel, initrd, preseed sql.NullInt64
		err = r.Scan(&v.ID, &v.MachineID, &v.Machine, &user, &kernel, &initrd, &preseed, &v.KernelOptions,
			&v.State, &v.Stage, moment{&v.StageAt}, &v.Error, moment{&v.StartedAt}, optionalTime{&v.EndedAt},
			&v.User, &v.Kernel, &v.Initrd, &v.Preseed)
		v.UserID, v.KernelID, v.InitrdID, v.PreseedID = user.Int64, kernel.Int64, initrd.Int64, preseed.Int64
		return v, err
	}, `SELECT runs.id, runs.machine_id, machines.name, runs.user_id, runs.kernel_id, runs.initrd_id, runs.preseed_id,
		runs.kernel_options, runs.state, runs.stage, coalesce(runs.stage_at, runs.started_at), runs.error, runs.started_at,
		runs.ended_at, coalesce(users.name, ''), coalesce(kernels.name, ''), coalesce(initrds.name, ''), coalesce(preseeds.name, '')
		FROM runs JOIN machines ON machines.id = runs.machine_id
		LEFT JOIN users ON users.id = runs.user_id
		LEFT JOIN images AS kernels ON kernels.id = runs.kernel_id
		LEFT JOIN images AS initrds ON initrds.id = runs.initrd_id
		LEFT JOIN preseeds ON preseeds.id = runs.preseed_id `+w.String()+`ORDER BY runs.id DESC LIMIT ?`, w.with(f.Limit)...)
	for i := range records {
		if err == nil {
			records[i].Stages, err = tx.runStages(ctx, records[i].ID)
		}
	}
	return records, err
}

func (tx *Tx) runStages(ctx context.Context, id int64) ([]RunStage, error) {
	return all(ctx, tx, func(r row) (s RunStage, err error) {
		return s, r.Scan(&s.Stage, moment{&s.At})
	}, `SELECT stage, at FROM run_stages WHERE run_id = ? ORDER BY at, rowid`, id)
}
