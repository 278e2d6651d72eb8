package store

import "context"

// Statistics are how many there are of what a site has.
type Statistics struct {
	Machines map[MachineState]int64
	Held     int64 // machines that somebody holds
	Runs     int64 // that go on
	Queue    int64 // who waits for a machine
}

// Statistics counts. It reads one row for each machine.
func (tx *Tx) Statistics(ctx context.Context) (s Statistics, err error) {
	type count struct {
		state MachineState
		n     int64
	}
	states, err := all(ctx, tx, func(r row) (c count, err error) {
		err = r.Scan(&c.state, &c.n)
		return c, err
	}, `SELECT state, count(*) FROM machines GROUP BY state`)
	if err != nil {
		return s, err
	}
	s.Machines = make(map[MachineState]int64, len(states))
	for _, c := range states {
		s.Machines[c.state] = c.n
	}
	err = tx.tx.QueryRowContext(ctx, `SELECT
		(SELECT count(DISTINCT machine_id) FROM reservations WHERE ended_at IS NULL),
		(SELECT count(*) FROM runs WHERE state = 'running'),
		(SELECT count(*) FROM queue WHERE reservation_id IS NULL)`).Scan(&s.Held, &s.Runs, &s.Queue)
	return s, plain(err)
}
