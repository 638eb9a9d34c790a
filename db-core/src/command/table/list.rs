//! Lists.

use Flag::*;
use Handler::Keys;

use crate::command::list;
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("lpush", -3, &[Write, DenyOom, Fast], Group::List, "1.0.0", Keys(list::lpush))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()])

        .doc("Adds elements at the head of a list, which is created if it does not exist.", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."),
    spec("rpush", -3, &[Write, DenyOom, Fast], Group::List, "1.0.0", Keys(list::rpush))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()])

        .doc("Adds elements at the tail of a list, which is created if it does not exist.", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."),
    spec("lpushx", -3, &[Write, DenyOom, Fast], Group::List, "2.2.0", Keys(list::lpushx))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()])

        .doc("Adds elements at the head of a list if it exists.", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."),
    spec("rpushx", -3, &[Write, DenyOom, Fast], Group::List, "2.2.0", Keys(list::rpushx))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()])

        .doc("Adds elements at the tail of a list if it exists.", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."),
    spec("lpop", -2, &[Write, Fast], Group::List, "1.0.0", Keys(list::lpop))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").since("6.2.0").optional()])

        .doc("Removes elements from the head and returns them.", "O(N) where N is the number of elements returned"),
    spec("rpop", -2, &[Write, Fast], Group::List, "1.0.0", Keys(list::rpop))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("count").since("6.2.0").optional()])

        .doc("Removes elements from the tail and returns them.", "O(N) where N is the number of elements returned"),
    spec("llen", 2, &[Readonly, Fast], Group::List, "1.0.0", Keys(list::llen))
        .keys(&[KeySpec::at(1, KeyUse::Exist)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0)])
        .doc("Returns the number of elements.", "O(1)"),
    spec("lrange", 4, &[Readonly], Group::List, "1.0.0", Keys(list::lrange))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")])
        .doc("Returns the elements from one index to another.", "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range."),
    spec("lindex", 3, &[Readonly], Group::List, "1.0.0", Keys(list::lindex))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("index")])
        .doc("Returns the element at an index.", "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1)."),
    spec("lset", 4, &[Write, DenyOom], Group::List, "1.0.0", Keys(list::lset))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("index"), Argument::string("element")])
        .doc("Replaces the element at an index.", "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1)."),
    spec("linsert", 5, &[Write, DenyOom], Group::List, "2.2.0", Keys(list::linsert))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::one_of("where", &[Argument::word("before", "BEFORE"), Argument::word("after", "AFTER")]), Argument::string("pivot"), Argument::string("element")])
        .doc("Inserts an element before or after another one.", "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N)."),
    spec("lrem", 4, &[Write], Group::List, "1.0.0", Keys(list::lrem))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("count"), Argument::string("element")])
        .doc("Removes elements with a value.", "O(N+M) where N is the length of the list and M is the number of elements removed."),
    spec("ltrim", 4, &[Write], Group::List, "1.0.0", Keys(list::ltrim))
        .keys(&[KeySpec::at(1, KeyUse::Discard)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")])
        .doc("Removes all elements but those from one index to another.", "O(N) where N is the number of elements to be removed by the operation."),
    spec("lpos", -3, &[Readonly], Group::List, "6.0.6", Keys(list::lpos))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0), Argument::string("element"), Argument::integer("rank").after("RANK").optional(), Argument::integer("num-matches").after("COUNT").optional(), Argument::integer("len").after("MAXLEN").optional()])
        .doc("Returns the indexes of elements with a value.", "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time."),
    spec("lmove", 5, &[Write, DenyOom], Group::List, "6.2.0", Keys(list::lmove))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::one_of("wherefrom", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")]), Argument::one_of("whereto", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")])])
        .doc("Moves an element from one list to another, or within one, and returns it.", "O(1)"),
    spec("rpoplpush", 3, &[Write, DenyOom], Group::List, "1.2.0", Keys(list::rpoplpush))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1)])

        .doc("Moves the last element of a list to the head of another one and returns it.", "O(1)"),
    spec("lmpop", -4, &[Write], Group::List, "7.0.0", Keys(list::lmpop))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Count { first: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::List])
        .arguments(&[Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::one_of("where", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")]), Argument::integer("count").after("COUNT").optional()])
        .doc("Removes elements from the first list that exists and returns them.", "O(N+M) where N is the number of provided keys and M is the number of elements returned."),

    spec("blpop", -3, &[Write, Blocking], Group::List, "2.0.0", Handler::Blocking(&list::BLPOP))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Range { last: -2, step: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")])
        .doc("Removes the first element of the first list that exists and returns it; waits for one.", "O(N) where N is the number of provided keys."),
    spec("brpop", -3, &[Write, Blocking], Group::List, "2.0.0", Handler::Blocking(&list::BRPOP))
        .keys(&[KeySpec { begin: Begin::At(1), find: Find::Range { last: -2, step: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")])
        .doc("Removes the last element of the first list that exists and returns it; waits for one.", "O(N) where N is the number of provided keys."),
    spec("blmove", 6, &[Write, DenyOom, Blocking], Group::List, "6.2.0", Handler::Blocking(&list::BLMOVE))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::one_of("wherefrom", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")]), Argument::one_of("whereto", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")]), Argument::double("timeout")])
        .doc("Moves an element from one list to another and returns it; waits for one.", "O(1)"),
    spec("brpoplpush", 4, &[Write, DenyOom, Blocking], Group::List, "2.2.0", Handler::Blocking(&list::BRPOPLPUSH))
        .keys(&[KeySpec::at(1, KeyUse::Take), KeySpec::at(2, KeyUse::Extend)])
        .categories_own(&[Category::List])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::double("timeout")])
        .doc("Moves the last element of a list to the head of another one and returns it; waits for one.", "O(1)"),
    spec("blmpop", -5, &[Write, Blocking], Group::List, "7.0.0", Handler::Blocking(&list::BLMPOP))
        .keys(&[KeySpec { begin: Begin::At(2), find: Find::Count { first: 1 }, key_use: KeyUse::Take }])
        .categories_own(&[Category::List])
        .arguments(&[Argument::double("timeout"), Argument::integer("numkeys"), Argument::key("key", 0).multiple(), Argument::one_of("where", &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")]), Argument::integer("count").after("COUNT").optional()])
        .doc("Removes elements from the first list that exists and returns them; waits for one.", "O(N+M) where N is the number of provided keys and M is the number of elements returned."),
];
