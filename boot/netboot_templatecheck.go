package boot

import (
	"fmt"
	"text/template/parse"
)

// templateCheck refuses what would let a template run for ever, or fill the
// memory; see [ParseTemplate].
type templateCheck struct {
	tree   *parse.Tree
	inLoop bool
}

func (c *templateCheck) refuse(node parse.Node, format string, args ...any) error {
	location, _ := c.tree.ErrorContext(node)
	return plainTemplateError(fmt.Errorf("template: %s: "+format, append([]any{location}, args...)...))
}

func (c *templateCheck) list(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := c.node(node); err != nil {
			return err
		}
	}
	return nil
}

func (c *templateCheck) node(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		return c.pipe(n.Pipe)
	case *parse.IfNode:
		return c.branch(&n.BranchNode)
	case *parse.WithNode:
		return c.branch(&n.BranchNode)
	case *parse.RangeNode:
		return c.loop(n)
	}
	return c.refuse(node, "a configuration template cannot hold %s", node)
}

func (c *templateCheck) branch(n *parse.BranchNode) error {
	if err := c.pipe(n.Pipe); err != nil {
		return err
	}
	if err := c.list(n.List); err != nil {
		return err
	}
	return c.list(n.ElseList)
}

func (c *templateCheck) loop(n *parse.RangeNode) error {
	if c.inLoop {
		return c.refuse(n, "a loop in a loop is not possible")
	}
	if !isField(n.Pipe) { // else a number could be counted up to
		return c.refuse(n, "a loop runs over .Words, or $.Words")
	}
	if n.Pipe.IsAssign {
		return c.refuse(n, "a variable keeps its value: use := instead of =")
	}
	c.inLoop = true
	defer func() { c.inLoop = false }()
	if err := c.list(n.List); err != nil {
		return err
	}
	return c.list(n.ElseList)
}

// isField reports whether a pipeline is .Field or $.Field, and no more.
func isField(pipe *parse.PipeNode) bool {
	if len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return false
	}
	switch over := pipe.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return true
	case *parse.VariableNode:
		return len(over.Ident) == 2 && over.Ident[0] == "$"
	}
	return false
}

func (c *templateCheck) pipe(pipe *parse.PipeNode) error {
	if pipe.IsAssign {
		return c.refuse(pipe, "a variable keeps its value: use := instead of =")
	}
	for _, command := range pipe.Cmds {
		for _, arg := range command.Args {
			if err := c.argument(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *templateCheck) argument(arg parse.Node) error {
	switch n := arg.(type) {
	case *parse.PipeNode:
		return c.pipe(n)
	case *parse.ChainNode:
		return c.argument(n.Node)
	case *parse.IdentifierNode:
		if _, ours := templateFuncs[n.Ident]; !ours && !builtInFuncs[n.Ident] {
			return c.refuse(n, "the function %s cannot be used here", n.Ident)
		}
	}
	return nil
}
